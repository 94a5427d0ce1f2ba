//! The projection `results`: submissions, attempts and case results in PostgreSQL, each row the fold of its events.

mod changes;
mod generations;
mod memory;
mod read;
mod rows;
mod store;
mod write;

pub use changes::{Changes, States, fold};
pub use rows::{AttemptRow, CaseRow, SubmissionRow};
pub use store::ResultsStore;
