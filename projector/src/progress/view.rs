//! One user's progress, and what a fact makes of it.

use std::collections::BTreeMap;

use events::{LanguageSlug, Verdict};
use serde::{Deserialize, Serialize};

use super::fact::{Change, Fact};
use super::key::ProgressKey;
use super::moment::Moment;
use super::recent::{self, Recent};
use super::streak::Streak;
use super::tally::{ByLane, Verdicts};

/// One user's progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The document's key.
    #[serde(rename = "_id")]
    pub key: ProgressKey,
    /// The last event folded.
    pub last_seq: u64,
    /// Accepted submissions.
    pub submissions: ByLane<u64>,
    /// Completed submissions.
    pub verdicts: ByLane<Verdicts>,
    /// Submissions that the platform could not run.
    pub failed: u64,
    /// Cancelled submissions.
    pub cancelled: u64,
    /// What is solved.
    pub solved: SolvedTotals,
    /// Runs of active days; absent before the first active day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streak: Option<Streak>,
    /// Accepted submissions by language.
    pub languages: BTreeMap<LanguageSlug, u64>,
    /// The latest submissions, newest first.
    pub recent: Vec<Recent>,
}

/// What a user has solved, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolvedTotals {
    /// Distinct suites with an accepted verdict.
    pub suites: u64,
    /// Submissions with an accepted verdict.
    pub submissions: u64,
    /// When the latest of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Moment>,
}

impl Progress {
    /// Makes the progress of a user who has done nothing yet.
    pub fn none(key: ProgressKey) -> Self {
        Self {
            key,
            last_seq: 0,
            submissions: ByLane::default(),
            verdicts: ByLane::default(),
            failed: 0,
            cancelled: 0,
            solved: SolvedTotals::default(),
            streak: None,
            languages: BTreeMap::new(),
            recent: Vec::new(),
        }
    }

    /// Folds a fact of this user; one that is folded already changes nothing. `first_solution` tells whether it is the
    /// first one that solves its suite.
    #[must_use]
    pub fn after(mut self, fact: &Fact, first_solution: bool) -> Self {
        if fact.sequence <= self.last_seq {
            return self;
        }
        self.last_seq = fact.sequence;
        recent::fold(&mut self.recent, fact);
        match fact.change {
            Change::Accepted => {
                *self.submissions.of(fact.lane) += 1;
                *self.languages.entry(fact.language.clone()).or_default() += 1;
            }
            Change::Completed { verdict, points: _ } => {
                self.complete(fact, verdict, first_solution);
            }
            Change::Failed => self.failed += 1,
            Change::Cancelled => self.cancelled += 1,
            Change::Running | Change::Cancelling => {}
        }
        self
    }

    fn complete(&mut self, fact: &Fact, verdict: Verdict, first_solution: bool) {
        *self.verdicts.of(fact.lane).of(verdict) += 1;
        if Streak::counts(verdict) {
            self.streak = Some(Streak::extended(self.streak, fact.at.day()));
        }
        if verdict == Verdict::Accepted {
            self.solved.submissions += 1;
            self.solved.suites += u64::from(first_solution);
            self.solved.last_at = Some(fact.at);
        }
    }
}
