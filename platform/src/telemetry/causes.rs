//! An error with all its causes as one line.

use std::error::Error;

/// Returns an error's text and those of its causes, each after a colon.
pub fn error_chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| Error::source(cause));
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
