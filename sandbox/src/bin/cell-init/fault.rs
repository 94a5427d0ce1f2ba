//! A failure of the cell itself. A failure of the user's program is a report, not a fault.

use std::fmt;

/// A failure of the cell. Only an operator ever reads it, so it is a text.
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

/// Adds to an error what the cell was doing.
pub(crate) trait During<T> {
    fn during(self, what: &str) -> Result<T, CellFault>;
}

impl<T, E: fmt::Display> During<T> for Result<T, E> {
    fn during(self, what: &str) -> Result<T, CellFault> {
        self.map_err(|error| CellFault(format!("{what}: {error}")))
    }
}
