//! A submission on its way in: from the form of the body (`draft`) through the rules to the
//! accepted event and its objects.

pub mod bounds;
mod draft;
pub mod key;
mod request;
mod rules;
pub mod storing;

pub use self::draft::Draft;
pub use self::request::ValidSubmission;
pub use self::rules::Rules;
