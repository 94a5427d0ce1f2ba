//! `unaccepted_submissions`: its columns.

use events::{Fold, SubmissionId};
use uuid::Uuid;

use super::column_values::RowPlace;
use super::table::{TableRow as _, table};
use crate::error::Impossible;

table! {
    /// One row of `unaccepted_submissions`, without its generation.
    pub struct UnacceptedRow: unaccepted_submissions {
        submission_id: Uuid => Key,
        violations: i64 => Changing,
    }
}

impl UnacceptedRow {
    /// Writes a submission that has events and no acceptance as its row.
    pub fn from_violations(submission: SubmissionId, violations: u32) -> Self {
        Self { submission_id: submission.as_uuid(), violations: i64::from(violations) }
    }
}

impl TryFrom<UnacceptedRow> for Fold {
    type Error = Impossible;

    fn try_from(row: UnacceptedRow) -> Result<Self, Impossible> {
        let place = RowPlace { table: UnacceptedRow::TABLE, key: row.submission_id };
        Ok(Self { submission: None, violations: place.number("violations", row.violations)? })
    }
}
