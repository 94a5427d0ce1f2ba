//! The pure half of `progress`: from a batch of events to facts, and from facts to documents. No
//! driver.

use std::collections::{BTreeMap, BTreeSet};

use events::submission::advance;
use events::{Digest, SubmissionId, UserId};
use views::progress::{ProgressKey, SolvedKey, SolvedSuite, TrackedSubmission, UserProgress};

use super::fact::Fact;
use super::user::fold_into_user;
use super::{solved, tracked};
use crate::batch::EventBatch;

/// What a batch says: facts in order, and what is remembered afterwards of the submissions that
/// have new events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Derived {
    pub facts: Vec<Fact>,
    pub tracked: BTreeMap<SubmissionId, TrackedSubmission>,
}

/// Derives the facts of a batch. An event that its submission has folded already, or that is
/// illegal, is not a fact.
#[must_use]
pub fn derive(
    generation: i32,
    before: &BTreeMap<SubmissionId, TrackedSubmission>,
    batch: &EventBatch,
) -> Derived {
    let mut derived = Derived::default();
    for recorded in batch.events() {
        let id = recorded.envelope.submission;
        let known = derived.tracked.get(&id).or_else(|| before.get(&id));
        // After a crash a batch comes again, and some of its events were remembered already.
        if known.is_some_and(|tracked| tracked.last_seq >= recorded.sequence) {
            continue;
        }
        let advanced = advance(known.map(tracked::lifecycle), &recorded.envelope.event);
        // An outcome without an acceptance names no user, so no document can count it.
        let begun = || tracked::begin(generation, recorded);
        let Some(mut submission) = known.cloned().or_else(begun) else { continue };
        // An illegal event, too: it stays in the ledger, and a batch that comes again must skip it.
        submission.last_seq = recorded.sequence;
        if let Ok(lifecycle) = advanced {
            submission = tracked::remember(submission, lifecycle);
            derived.facts.extend(Fact::of(&submission, recorded));
        }
        derived.tracked.insert(id, submission);
    }
    derived
}

/// The documents that some facts are folded into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Views {
    pub progress: BTreeMap<UserId, UserProgress>,
    pub solved: BTreeMap<(UserId, Digest), SolvedSuite>,
}

/// The documents that some facts concern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Viewed {
    pub users: BTreeSet<UserId>,
    pub suites: BTreeSet<(UserId, Digest)>,
}

impl Viewed {
    /// Tells which documents `facts` concern.
    pub fn of(facts: &[Fact]) -> Self {
        let suites = |fact: &Fact| Some((fact.principal.clone(), fact.solved_suite()?));
        Self {
            users: facts.iter().map(|fact| fact.principal.clone()).collect(),
            suites: facts.iter().filter_map(suites).collect(),
        }
    }
}

/// Folds facts into documents, of which those that do not exist yet are absent.
#[must_use]
pub fn view(generation: i32, mut views: Views, facts: &[Fact]) -> Views {
    for fact in facts {
        let first = solve(generation, &mut views.solved, fact);
        let principal = &fact.principal;
        let key = || ProgressKey { generation, principal: principal.clone() };
        let progress = views.progress.entry(principal.clone());
        let progress = progress.or_insert_with(|| UserProgress::none(key()));
        fold_into_user(progress, fact, first);
    }
    views
}

/// Folds a fact into its solved suite, if it has one. Tells whether this fact solved the suite
/// first.
fn solve(
    generation: i32,
    suites: &mut BTreeMap<(UserId, Digest), SolvedSuite>,
    fact: &Fact,
) -> bool {
    let Some(suite_sha256) = fact.solved_suite() else { return false };
    let principal = fact.principal.clone();
    let key = SolvedKey { generation, principal: principal.clone(), suite_sha256 };
    let place = (principal, suite_sha256);
    let entry = solved::fold(suites.remove(&place), key, fact);
    // By the sequence and not by the suite's absence: after a crash the suite may be stored and its
    // user's document not, which then still has to count it.
    let first = entry.first_seq == fact.sequence;
    suites.insert(place, entry);
    first
}
