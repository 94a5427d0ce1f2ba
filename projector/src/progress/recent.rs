//! What a fact makes of its user's latest submissions.

use events::State;
use views::progress::RecentSubmission;

use super::fact::{Change, Fact};

/// How many submissions are kept.
// Each event of a user replaces the whole document, and this list is the largest part of it.
pub const RECENT_MAX: usize = 50;

/// Folds a fact into the list, newest first. A submission that has dropped out of it stays out.
pub(super) fn fold(list: &mut Vec<RecentSubmission>, fact: &Fact) {
    // No search for an entry that is there already: the user's document has skipped facts that come
    // again.
    if fact.change == Change::Accepted {
        list.insert(0, accepted(fact));
        list.truncate(RECENT_MAX);
    } else if let Some(entry) = list.iter_mut().find(|entry| entry.submission == fact.submission) {
        change(entry, fact);
    }
}

fn accepted(fact: &Fact) -> RecentSubmission {
    RecentSubmission {
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

fn change(entry: &mut RecentSubmission, fact: &Fact) {
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
