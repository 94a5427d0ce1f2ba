//! What clients read: domain values in the words of the contract (docs/api.md). Builds bodies and
//! decides nothing.

mod event;
mod language;
mod output;
mod progress;
mod quarantine;
mod stamp;
mod submission;
mod summary;

pub(crate) use self::event::EventBody;
pub(crate) use self::language::LanguagesBody;
pub(crate) use self::output::OutputName;
pub(crate) use self::progress::ProgressBody;
pub(crate) use self::quarantine::{QuarantineBody, QuarantinedBody};
pub(crate) use self::stamp::Stamp;
pub(crate) use self::submission::{FetchedOutputs, SubmissionBody};
pub(crate) use self::summary::{PageBody, SummaryBody};

use events::event::{Completed, LanguageRef};
use events::submission::Outcome;
use events::{LanguageSlug, Submission, Usage};
use serde::Serialize;
use views::results::Score;

/// A language in a submission.
#[derive(Debug, Serialize)]
pub(crate) struct LanguageBody {
    slug: LanguageSlug,
    version: String,
}

impl From<&LanguageRef> for LanguageBody {
    fn from(language: &LanguageRef) -> Self {
        Self { slug: language.slug.clone(), version: language.version.clone() }
    }
}

/// What a run used; times are in milliseconds with fractions.
#[derive(Debug, Serialize)]
pub(crate) struct UsageBody {
    cpu_ms: f64,
    wall_ms: f64,
    discounted_ms: f64,
    memory_kib: u64,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        let Usage { cpu_us, wall_us, discounted_us, memory_kib } = usage;
        Self {
            cpu_ms: milliseconds(cpu_us),
            wall_ms: milliseconds(wall_us),
            discounted_ms: milliseconds(discounted_us),
            memory_kib,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000.0
}

/// What all cases together came to.
#[derive(Debug, Serialize)]
pub(crate) struct ScoreBody {
    points: u64,
    points_max: u64,
    passed: u32,
    total: u32,
}

impl From<Score> for ScoreBody {
    fn from(score: Score) -> Self {
        let Score { points, points_max, passed, total } = score;
        Self { points, points_max, passed, total }
    }
}

/// Returns the end of a submission that has a verdict.
fn completed(submission: &Submission) -> Option<&Completed> {
    match &submission.outcome {
        Some(Outcome::Completed(completed)) => Some(completed),
        Some(Outcome::Failed(_) | Outcome::Cancelled(_)) | None => None,
    }
}
