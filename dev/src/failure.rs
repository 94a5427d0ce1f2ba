//! Errors that tell a person what to do next.

use std::fmt;

use anyhow::Error;

/// Why something did not work, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) why: String,
    /// What the person can do.
    pub(crate) advice: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Builds an error with advice.
pub(crate) fn failure(why: impl Into<String>, advice: impl Into<String>) -> Error {
    Failure { why: why.into(), advice: advice.into() }.into()
}

/// The advice that an error carries, wherever in its chain it stands.
pub(crate) fn advice(error: &Error) -> Option<&str> {
    error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map(|f| f.advice.as_str())
}
