//! Fair shares: how many submissions of each person wait, and which priority the next one gets. A
//! person with a thousand of them must not make another one wait for a thousand.

mod feed;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::event::Accepted;
use events::{EndUser, Event, Lane, PoolName, Priority, SubmissionId, UserId};

pub(crate) use self::feed::ShareFeed;

/// Who has a share: a person in one lane of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShareOwner {
    pub(crate) principal: UserId,
    pub(crate) end_user: Option<EndUser>,
    pub(crate) lane: Lane,
    pub(crate) pool: PoolName,
}

impl From<&Accepted> for ShareOwner {
    fn from(accepted: &Accepted) -> Self {
        Self {
            principal: accepted.principal.clone(),
            end_user: accepted.end_user.clone(),
            lane: accepted.lane,
            pool: accepted.pool.clone(),
        }
    }
}

/// What waits, as far as the ledger has told; clones are the same.
#[derive(Clone, Debug)]
pub struct FairShares {
    waiting_max: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    owners: HashMap<SubmissionId, ShareOwner>,
    by_owner: HashMap<ShareOwner, HashSet<SubmissionId>>,
}

impl FairShares {
    /// Begins with nothing that waits. A person's submissions past `waiting_max` are surplus.
    pub fn new(waiting_max: u32) -> Self {
        Self { waiting_max: waiting_max as usize, waiting: Arc::default() }
    }

    /// Counts a submission that is about to be accepted, and returns its priority.
    // Counted before the append, since requests that come together must see each other.
    pub(crate) fn enter(&self, id: SubmissionId, owner: ShareOwner) -> Priority {
        let count = self.lock().add(id, owner);
        if count <= self.waiting_max { Priority::Normal } else { Priority::Surplus }
    }

    /// Says that a submission does not wait: it was not accepted, has begun or has ended.
    pub(crate) fn leave(&self, id: SubmissionId) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything, before it is counted anew.
    fn clear(&self) {
        *self.lock() = Waiting::default();
    }

    fn hear(&self, id: SubmissionId, event: &Event) {
        match event {
            Event::Accepted(accepted) => {
                self.lock().add(id, ShareOwner::from(accepted.as_ref()));
            }
            Event::Started(_) | Event::Completed(_) | Event::Failed(_) | Event::Cancelled(_) => {
                self.leave(id);
            }
            Event::Compiled(_)
            | Event::Judged(_)
            | Event::Lost(_)
            | Event::CancellationRequested(_) => {}
        }
    }
}

impl Waiting {
    /// Returns how many submissions of the owner wait now.
    fn add(&mut self, id: SubmissionId, owner: ShareOwner) -> usize {
        let ids = self.by_owner.entry(owner.clone()).or_default();
        ids.insert(id);
        let count = ids.len();
        self.owners.insert(id, owner);
        count
    }

    fn remove(&mut self, id: SubmissionId) {
        let Some(owner) = self.owners.remove(&id) else { return };
        if let Some(ids) = self.by_owner.get_mut(&owner) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn owner(principal: &str, end_user: Option<&str>) -> ShareOwner {
        ShareOwner {
            principal: principal.parse().unwrap(),
            end_user: end_user.map(|text| text.parse().unwrap()),
            lane: Lane::Run,
            pool: "core".parse().unwrap(),
        }
    }

    fn id(number: u128) -> SubmissionId {
        SubmissionId::new(Uuid::from_u128(number))
    }

    fn enter(shares: &FairShares, number: u128, principal: &str) -> Priority {
        shares.enter(id(number), owner(principal, None))
    }

    #[test]
    fn only_a_person_with_a_share_waiting_is_surplus() {
        let shares = FairShares::new(3);
        let priorities: Vec<_> = (0..1_000).map(|number| enter(&shares, number, "ada")).collect();
        assert!(priorities[..3].iter().all(|priority| *priority == Priority::Normal));
        assert!(priorities[3..].iter().all(|priority| *priority == Priority::Surplus));
        for number in 1_000..1_020 {
            let other = format!("other-{number}");
            assert_eq!(enter(&shares, number, &other), Priority::Normal);
        }
    }

    #[test]
    fn what_has_begun_or_ended_waits_no_more() {
        let shares = FairShares::new(3);
        for number in 0..3 {
            enter(&shares, number, "ada");
        }
        shares.hear(id(0), &Event::Started(events::testing::started(1)));
        assert_eq!(enter(&shares, 3, "ada"), Priority::Normal);
        assert_eq!(enter(&shares, 4, "ada"), Priority::Surplus);
        shares.hear(id(1), &Event::Cancelled(events::testing::cancelled()));
        shares.leave(id(4));
        assert_eq!(enter(&shares, 5, "ada"), Priority::Normal);
        assert_eq!(shares.lock().owners.len(), 3);
    }

    #[test]
    fn a_retry_under_its_own_id_counts_once() {
        let shares = FairShares::new(3);
        for _ in 0..5 {
            assert_eq!(enter(&shares, 7, "ada"), Priority::Normal);
        }
    }

    #[test]
    fn each_end_user_of_a_platform_has_a_share() {
        let shares = FairShares::new(3);
        for number in 0..5 {
            shares.enter(id(number), owner("platform", Some("one")));
        }
        let another = shares.enter(id(9), owner("platform", Some("another")));
        assert_eq!(another, Priority::Normal);
    }

    #[test]
    fn submissions_of_other_copies_of_the_service_count() {
        let shares = FairShares::new(3);
        for number in 0..3 {
            let accepted = events::testing::accepted();
            shares.hear(id(number), &Event::Accepted(Box::new(accepted)));
        }
        assert_eq!(enter(&shares, 4, events::testing::USER), Priority::Surplus);
    }
}
