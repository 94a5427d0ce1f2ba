//! The pure half of `progress`: from a batch of events to facts, and from facts to documents. No driver.

use std::collections::{BTreeMap, BTreeSet};

use events::submission::advance;
use events::{Digest, SubmissionId, UserId};

use super::fact::Fact;
use super::key::{ProgressKey, SolvedKey};
use super::solved::Solved;
use super::tracked::Tracked;
use super::view::Progress;
use crate::batch::Batch;

/// What a batch says: facts in order, and what is remembered of its submissions afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// The facts, in order.
    pub facts: Vec<Fact>,
    /// What is remembered of the submissions that have new events.
    pub tracked: BTreeMap<SubmissionId, Tracked>,
}

/// Derives the facts of a batch. An event that a submission has folded already, or that is illegal, is none.
#[must_use]
pub fn derive(generation: i32, before: &BTreeMap<SubmissionId, Tracked>, batch: &Batch) -> Derived {
    let mut derived = Derived::default();
    for recorded in batch.events() {
        let id = recorded.envelope.submission;
        let known = derived.tracked.get(&id).or_else(|| before.get(&id));
        // After a crash a batch comes again, and some of its events were remembered already.
        if known.is_some_and(|tracked| tracked.last_seq >= recorded.sequence) {
            continue;
        }
        let advanced = advance(known.map(Tracked::lifecycle), &recorded.envelope.event);
        let Some(mut tracked) = known.cloned().or_else(|| Tracked::begin(generation, recorded))
        else {
            continue;
        };
        tracked.last_seq = recorded.sequence;
        if let Ok(lifecycle) = advanced {
            tracked.remember(lifecycle);
            derived.facts.extend(Fact::of(&tracked, recorded));
        }
        derived.tracked.insert(id, tracked);
    }
    derived
}

/// The documents that some facts are folded into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// Progress by user.
    pub progress: BTreeMap<UserId, Progress>,
    /// Solved suites by user.
    pub solved: BTreeMap<(UserId, Digest), Solved>,
}

/// The documents that some facts concern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewed {
    /// The users.
    pub users: BTreeSet<UserId>,
    /// Their suites.
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
        let key = ProgressKey { generation, principal: fact.principal.clone() };
        let progress = views.progress.remove(&fact.principal);
        let progress = progress.unwrap_or_else(|| Progress::none(key)).after(fact, first);
        views.progress.insert(fact.principal.clone(), progress);
    }
    views
}

/// Folds a fact into its solved suite, if it has one. Tells whether it is the one that solved it first.
fn solve(generation: i32, solved: &mut BTreeMap<(UserId, Digest), Solved>, fact: &Fact) -> bool {
    let Some(suite_sha256) = fact.solved_suite() else { return false };
    let principal = fact.principal.clone();
    let key = SolvedKey { generation, principal: principal.clone(), suite_sha256 };
    let place = (principal, suite_sha256);
    let entry = Solved::after(solved.remove(&place), key, fact);
    let first = entry.first_seq == fact.sequence;
    solved.insert(place, entry);
    first
}
