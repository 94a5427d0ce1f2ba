//! The view `results` in PostgreSQL: submissions, attempts and case results, each row the fold of
//! its events.
//!
//! One file for each table has its columns, and how they become domain values and back. The two
//! ways are inverse to each other; a row that no fold can have written is an error that names
//! table, column and key.

mod attempts;
mod breaker;
mod case_results;
mod changes;
mod checkpoint;
mod column_values;
mod generations;
mod outcome_columns;
mod quarantine;
mod questions;
mod reader;
mod submissions;
mod summaries;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod unaccepted_submissions;
mod writer;

pub use attempts::AttemptRow;
pub use case_results::{CaseRow, code_and_signal};
pub use changes::RowChanges;
pub use generations::superseded_sql;
pub use outcome_columns::Score;
pub use quarantine::QuarantinedMessage;
pub use reader::{FoundSubmission, ListQuery, ResultsReader, ResultsView, find_sql, list_sql};
pub use submissions::SubmissionRow;
pub use summaries::Summary;
pub use table::JsonText;
pub use unaccepted_submissions::UnacceptedRow;
pub use writer::{ResultsBatch, ResultsWriter};
