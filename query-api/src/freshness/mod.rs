//! One submission, never older than what its client has seen: here `min_seq` is decided.

mod min_seq;
mod seen;

pub(crate) use self::min_seq::FreshSubmissions;
