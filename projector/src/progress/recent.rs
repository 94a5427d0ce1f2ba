//! A user's latest submissions.

use events::{Lane, LanguageSlug, State, SubmissionId, Verdict};
use serde::{Deserialize, Serialize};

use super::fact::{Change, Fact, Points};
use super::moment::Moment;
use super::text;

/// How many submissions are kept.
pub const RECENT_MAX: usize = 50;

/// One submission in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recent {
    /// The submission.
    #[serde(with = "text")]
    pub submission: SubmissionId,
    /// Its language.
    pub language: LanguageSlug,
    /// Its lane.
    pub lane: Lane,
    /// The state that clients see.
    pub state: State,
    /// The verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    /// When it was accepted.
    pub accepted_at: Moment,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Moment>,
}

/// Folds a fact into the list, newest first. A submission that has dropped out of it stays out.
pub(super) fn fold(list: &mut Vec<Recent>, fact: &Fact) {
    if fact.change == Change::Accepted {
        list.insert(0, begun(fact));
        list.truncate(RECENT_MAX);
    } else if let Some(entry) = list.iter_mut().find(|entry| entry.submission == fact.submission) {
        step(entry, fact);
    }
}

fn begun(fact: &Fact) -> Recent {
    Recent {
        submission: fact.submission,
        language: fact.language.clone(),
        lane: fact.lane,
        state: State::Accepted,
        verdict: None,
        points: None,
        accepted_at: fact.at,
        finished_at: None,
    }
}

fn step(entry: &mut Recent, fact: &Fact) {
    entry.state = match fact.change {
        Change::Accepted => State::Accepted,
        Change::Running => State::Running,
        Change::Cancelling => State::Cancelling,
        Change::Completed { verdict, points } => {
            entry.verdict = Some(verdict);
            entry.points = points;
            State::Completed
        }
        Change::Failed => State::Failed,
        Change::Cancelled => State::Cancelled,
    };
    entry.finished_at = entry.state.is_terminal().then_some(fact.at);
}
