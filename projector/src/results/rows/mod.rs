//! The rows of `results`, and how they become domain values and back. The two ways are inverse to each other; a row that
//! no fold can have written is an error that names table, column and key.

mod attempt;
mod case;
mod field;
mod submission;

pub use attempt::AttemptRow;
pub use case::CaseRow;
pub use submission::SubmissionRow;
