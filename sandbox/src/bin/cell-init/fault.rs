//! What went wrong in the cell itself, as opposed to in the user's program.

use std::fmt;

/// A failure of the cell. It is only ever shown to an operator, so it is a text.
#[derive(Debug)]
pub(crate) struct CellFault(String);

impl CellFault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for CellFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Says what was being done when an error came.
pub(crate) trait During<T> {
    fn during(self, what: &str) -> Result<T, CellFault>;
}

impl<T, E: fmt::Display> During<T> for Result<T, E> {
    fn during(self, what: &str) -> Result<T, CellFault> {
        self.map_err(|error| CellFault(format!("{what}: {error}")))
    }
}
