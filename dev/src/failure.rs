//! Errors that tell a person what to do next.

use anyhow::Error;

/// Why something did not work, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) why: String,
    /// What the person can do.
    pub(crate) advice: String,
}

/// Builds an error with advice.
pub(crate) fn failure(why: impl Into<String>, advice: impl Into<String>) -> Error {
    Failure { why: why.into(), advice: advice.into() }.into()
}

/// The advice that an error carries, wherever in its chain it stands.
pub(crate) fn advice(error: &Error) -> Option<&str> {
    error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map(|f| f.advice.as_str())
}
