//! `attempts`: its columns.

use events::submission::{Attempt, LostAttempt};
use events::{BootId, SubmissionId, Timestamp};
use uuid::Uuid;

use super::column_values::RowPlace;
use super::table::{TableRow as _, table};
use crate::error::Impossible;

table! {
    /// One row of `attempts`, without its generation.
    pub struct AttemptRow: attempts {
        submission_id: Uuid => Key,
        number: i64 => Key,
        executor: String => Fixed,
        boot_id: Uuid => Fixed,
        image: String => Fixed,
        image_digest: String => Fixed,
        sandbox_profile: String => Fixed,
        isolation: String => Fixed,
        kernel: String => Fixed,
        cpu_model: String => Fixed,
        language_version: String => Fixed,
        started_at: Timestamp => Fixed,
        lost_reason: Option<String> => Changing,
        lost_at: Option<Timestamp> => Changing,
    }
}

impl AttemptRow {
    /// Writes an attempt of a submission as its row.
    pub fn from_attempt(submission: SubmissionId, attempt: &Attempt) -> Self {
        Self {
            submission_id: submission.as_uuid(),
            number: i64::from(attempt.number),
            executor: attempt.executor.to_string(),
            boot_id: attempt.boot_id.as_uuid(),
            image: attempt.image.clone(),
            image_digest: attempt.image_digest.clone(),
            sandbox_profile: attempt.sandbox_profile.to_string(),
            isolation: attempt.isolation.as_str().to_owned(),
            kernel: attempt.kernel.clone(),
            cpu_model: attempt.cpu_model.clone(),
            language_version: attempt.language_version.clone(),
            started_at: attempt.started_at,
            lost_reason: attempt.lost.map(|lost| lost.reason.as_str().to_owned()),
            lost_at: attempt.lost.map(|lost| lost.at),
        }
    }
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = Impossible;

    fn try_from(row: AttemptRow) -> Result<Self, Impossible> {
        let key = format!("{}/{}", row.submission_id, row.number);
        let place = RowPlace { table: AttemptRow::TABLE, key };
        let lost = match (&row.lost_reason, row.lost_at) {
            (None, None) => None,
            (Some(reason), Some(at)) => {
                Some(LostAttempt { reason: place.word("lost_reason", reason)?, at })
            }
            (Some(_), None) => return Err(place.impossible("lost_at", "absent beside a reason")),
            (None, Some(_)) => return Err(place.impossible("lost_reason", "absent beside a time")),
        };
        Ok(Self {
            number: place.number("number", row.number)?,
            executor: place.text("executor", &row.executor)?,
            boot_id: BootId::new(row.boot_id),
            sandbox_profile: place.digest("sandbox_profile", &row.sandbox_profile)?,
            isolation: place.word("isolation", &row.isolation)?,
            image: row.image,
            image_digest: row.image_digest,
            kernel: row.kernel,
            cpu_model: row.cpu_model,
            language_version: row.language_version,
            started_at: row.started_at,
            lost,
        })
    }
}
