//! What a list shows of how a submission ended: columns of `submissions` that repeat a part of its
//! outcome, so that a list need not read the outcome, in which outputs stand.

use events::event::{CasesSummary, Completed};
use events::submission::Outcome;
use events::{Submission, Usage};
use uuid::Uuid;

use super::column_values::RowPlace;
use crate::error::Impossible;

/// What all cases of a submission together came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Score {
    pub total: u32,
    pub passed: u32,
    pub points: u64,
    pub points_max: u64,
}

impl From<&CasesSummary> for Score {
    fn from(cases: &CasesSummary) -> Self {
        // Named one by one, so that a new field is shown or left out on purpose.
        let CasesSummary { total, passed, points, points_max, run: _, results_sha256: _ } = *cases;
        Self { total, passed, points, points_max }
    }
}

/// Returns what a list shows of how a submission ended.
pub(super) fn shown_of_outcome(submission: &Submission) -> (Option<Usage>, Option<Score>) {
    let completed: Option<&Completed> = match &submission.outcome {
        Some(Outcome::Completed(completed)) => Some(completed),
        Some(Outcome::Failed(_) | Outcome::Cancelled(_)) | None => None,
    };
    let usage = completed.and_then(Completed::program_usage);
    (usage, completed.and_then(|it| it.cases.as_ref()).map(Score::from))
}

/// Reads `cpu_us`, `wall_us`, `discounted_us` and `memory_kib`, which are there together.
pub(super) fn usage_from_columns(
    place: &RowPlace<Uuid>,
    columns: [Option<i64>; 4],
) -> Result<Option<Usage>, Impossible> {
    let [Some(cpu), Some(wall), Some(discounted), Some(memory)] = columns else { return Ok(None) };
    Ok(Some(Usage {
        cpu_us: place.number("cpu_us", cpu)?,
        wall_us: place.number("wall_us", wall)?,
        discounted_us: place.number("discounted_us", discounted)?,
        memory_kib: place.number("memory_kib", memory)?,
    }))
}

/// Reads `cases_total`, `cases_passed`, `points` and `points_max`, which are there together.
pub(super) fn score_from_columns(
    place: &RowPlace<Uuid>,
    columns: [Option<i64>; 4],
) -> Result<Option<Score>, Impossible> {
    let [Some(total), Some(passed), Some(points), Some(max)] = columns else { return Ok(None) };
    Ok(Some(Score {
        total: place.number("cases_total", total)?,
        passed: place.number("cases_passed", passed)?,
        points: place.number("points", points)?,
        points_max: place.number("points_max", max)?,
    }))
}
