//! Who calls, and what the caller may do. Tokens are JWTs signed with HS256 and a shared secret; no
//! other algorithm is ever tried.

mod bearer;
mod caller;
mod token;

pub use self::caller::{Caller, Scope};
pub use self::token::{AuthError, Claims, MintError, Verifier, mint};
