//! Submissions in a list: without outputs, cases and attempts.

use events::{Lane, State, SubmissionId, Verdict};
use serde::Serialize;
use views::results::Summary;

use super::{LanguageBody, ScoreBody, Stamp, UsageBody};

/// One page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct PageBody {
    pub(crate) items: Vec<SummaryBody>,
    /// The cursor of the next page; null on the last.
    pub(crate) next: Option<String>,
}

/// One submission of a list.
#[derive(Debug, Serialize)]
pub(crate) struct SummaryBody {
    id: SubmissionId,
    state: State,
    verdict: Option<Verdict>,
    language: LanguageBody,
    lane: Lane,
    accepted_at: Stamp,
    finished_at: Option<Stamp>,
    usage: Option<UsageBody>,
    score: Option<ScoreBody>,
    sequence: u64,
}

impl From<&Summary> for SummaryBody {
    fn from(summary: &Summary) -> Self {
        Self {
            id: summary.id,
            state: summary.state,
            verdict: summary.verdict,
            language: LanguageBody::from(&summary.language),
            lane: summary.lane,
            accepted_at: Stamp(summary.accepted_at),
            finished_at: summary.finished_at.map(Stamp),
            usage: summary.usage.map(UsageBody::from),
            score: summary.score.map(ScoreBody::from),
            sequence: summary.sequence,
        }
    }
}
