//! Fair shares: how many submissions of each person wait, and which priority the next one gets. A
//! person with a thousand of them must not make another one wait for a thousand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::event::Accepted;
use events::{EndUser, Event, Lane, PoolName, Priority, SubmissionId, UserId};

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

impl ShareOwner {
    /// Whose share all end users of the principal have together.
    fn principal_alone(&self) -> Self {
        Self { end_user: None, ..self.clone() }
    }
}

/// What waits, as far as the ledger has told; clones are the same.
#[derive(Clone, Debug)]
pub struct FairShares {
    limits: ShareLimits,
    waiting: Arc<Mutex<WaitingSubmissions>>,
}

/// How many submissions wait in the normal queue of one lane of a pool.
#[derive(Clone, Copy, Debug)]
pub struct ShareLimits {
    /// Of one person: a principal, or one end user of a principal.
    pub of_person_max: usize,
    /// Of one principal, whatever end users it names.
    pub of_principal_max: usize,
}

#[derive(Debug, Default)]
struct WaitingSubmissions {
    owners: HashMap<SubmissionId, (ShareOwner, Priority)>,
    by_owner: HashMap<ShareOwner, usize>,
    /// Those in the normal queue only: what waits as surplus takes no place of others.
    by_principal: HashMap<ShareOwner, usize>,
    /// Whether the ledger is followed. Until then what has begun would seem to wait.
    is_fed: bool,
}

/// The count of a submission that is about to be accepted. It is taken back unless the submission
/// then waits: a request may be given up at any moment.
#[derive(Debug)]
pub(crate) struct Entered {
    shares: FairShares,
    id: SubmissionId,
    pub(crate) priority: Priority,
    waits: bool,
}

impl Entered {
    /// Says that the submission is in the ledger and waits.
    pub(crate) fn keep(mut self) {
        self.waits = true;
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // If it is in the ledger all the same, one submission too few may count.
        if !self.waits {
            self.shares.lock().remove(self.id);
        }
    }
}

impl FairShares {
    /// Begins with nothing that waits.
    pub fn new(limits: ShareLimits) -> Self {
        Self { limits, waiting: Arc::default() }
    }

    /// Counts a submission that is about to be accepted, and says its priority.
    // Counted before the append, since requests that come together must see each other.
    pub(crate) fn enter(&self, id: SubmissionId, owner: &ShareOwner) -> Entered {
        let mut waiting = self.lock();
        waiting.remove(id);
        let within = waiting.of_person(owner) < self.limits.of_person_max
            && waiting.of_principal(owner) < self.limits.of_principal_max;
        let is_normal = within || !waiting.is_fed;
        let priority = if is_normal { Priority::Normal } else { Priority::Surplus };
        waiting.add(id, owner.clone(), priority);
        drop(waiting);
        Entered { shares: self.clone(), id, priority, waits: false }
    }

    /// Begins to follow the ledger, or ends it: then all is counted anew.
    pub fn set_fed(&self, is_fed: bool) {
        let mut waiting = self.lock();
        if is_fed {
            waiting.is_fed = true;
        } else {
            *waiting = WaitingSubmissions::default();
        }
    }

    /// Takes an event into account.
    pub(crate) fn hear(&self, id: SubmissionId, event: &Event) {
        match event {
            Event::Accepted(accepted) => {
                let owner = ShareOwner::from(accepted.as_ref());
                self.lock().add(id, owner, accepted.priority);
            }
            Event::Started(_) | Event::Completed(_) | Event::Failed(_) | Event::Cancelled(_) => {
                self.lock().remove(id);
            }
            Event::Compiled(_)
            | Event::Judged(_)
            | Event::Lost(_)
            | Event::CancellationRequested(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, WaitingSubmissions> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingSubmissions {
    fn add(&mut self, id: SubmissionId, owner: ShareOwner, priority: Priority) {
        // Under one key two requests may name two owners.
        self.remove(id);
        *self.by_owner.entry(owner.clone()).or_default() += 1;
        if priority == Priority::Normal {
            *self.by_principal.entry(owner.principal_alone()).or_default() += 1;
        }
        self.owners.insert(id, (owner, priority));
    }

    fn remove(&mut self, id: SubmissionId) {
        let Some((owner, priority)) = self.owners.remove(&id) else { return };
        count_down(&mut self.by_owner, &owner);
        if priority == Priority::Normal {
            count_down(&mut self.by_principal, &owner.principal_alone());
        }
    }

    fn of_person(&self, owner: &ShareOwner) -> usize {
        self.by_owner.get(owner).copied().unwrap_or_default()
    }

    fn of_principal(&self, owner: &ShareOwner) -> usize {
        self.by_principal.get(&owner.principal_alone()).copied().unwrap_or_default()
    }
}

/// Takes one off a count. A count of none is not kept.
fn count_down(counts: &mut HashMap<ShareOwner, usize>, owner: &ShareOwner) {
    if let Some(count) = counts.get_mut(owner) {
        *count -= 1;
        if *count == 0 {
            counts.remove(owner);
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

    fn shares() -> FairShares {
        let shares = FairShares::new(ShareLimits { of_person_max: 3, of_principal_max: 10 });
        shares.set_fed(true);
        shares
    }

    /// Accepts a submission.
    fn enter_as(shares: &FairShares, number: u128, owner: &ShareOwner) -> Priority {
        let entered = shares.enter(id(number), owner);
        let priority = entered.priority;
        entered.keep();
        priority
    }

    fn enter(shares: &FairShares, number: u128, principal: &str) -> Priority {
        enter_as(shares, number, &owner(principal, None))
    }

    #[test]
    fn only_a_person_with_a_share_waiting_is_surplus() {
        let shares = shares();
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
        let shares = shares();
        for number in 0..3 {
            enter(&shares, number, "ada");
        }
        shares.hear(id(0), &Event::Started(events::testing::started(1)));
        assert_eq!(enter(&shares, 3, "ada"), Priority::Normal);
        assert_eq!(enter(&shares, 4, "ada"), Priority::Surplus);
        shares.hear(id(1), &Event::Cancelled(events::testing::cancelled()));
        shares.hear(id(4), &Event::Failed(events::testing::failed(1)));
        assert_eq!(enter(&shares, 5, "ada"), Priority::Normal);
    }

    #[test]
    fn a_request_that_is_given_up_leaves_nothing() {
        let shares = shares();
        for number in 0..10 {
            let entered = shares.enter(id(number), &owner("ada", Some("one")));
            assert_eq!(entered.priority, Priority::Normal);
        }
        let waiting = shares.lock();
        assert!(waiting.owners.is_empty() && waiting.by_owner.is_empty());
        assert!(waiting.by_principal.is_empty());
    }

    #[test]
    fn a_retry_under_its_own_id_counts_once_also_for_another_end_user() {
        let shares = shares();
        for _ in 0..5 {
            assert_eq!(enter(&shares, 7, "ada"), Priority::Normal);
        }
        enter_as(&shares, 7, &owner("ada", Some("one")));
        shares.hear(id(7), &Event::Started(events::testing::started(1)));
        assert!(shares.lock().by_owner.is_empty());
    }

    #[test]
    fn each_end_user_of_a_platform_has_a_share() {
        let shares = shares();
        for number in 0..500 {
            enter_as(&shares, number, &owner("platform", Some("one")));
        }
        let another = enter_as(&shares, 999, &owner("platform", Some("another")));
        assert_eq!(another, Priority::Normal);
    }

    #[test]
    fn naming_a_thousand_end_users_is_no_way_round_the_shares() {
        let shares = shares();
        let priority = |number: u128| {
            enter_as(&shares, number, &owner("ada", Some(&format!("end user {number}"))))
        };
        let normal = (0..1_000).filter(|number| priority(*number) == Priority::Normal).count();
        assert_eq!(normal, 10);
    }

    #[test]
    fn until_the_ledger_is_followed_all_is_normal() {
        let shares = shares();
        shares.set_fed(false);
        assert!((0..10).all(|number| enter(&shares, number, "ada") == Priority::Normal));
    }

    #[test]
    fn submissions_of_other_copies_of_the_service_count() {
        let shares = shares();
        for number in 0..3 {
            let accepted = events::testing::accepted();
            shares.hear(id(number), &Event::Accepted(Box::new(accepted)));
        }
        assert_eq!(enter(&shares, 4, events::testing::USER), Priority::Surplus);
    }
}
