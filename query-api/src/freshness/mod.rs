//! One submission, never older than what its client has seen: `min_seq` decides which answers are
//! too old.

mod min_seq;
mod seen;

pub(crate) use self::min_seq::FreshSubmissions;
pub use self::seen::{SeenSequences, ViewHistory};
