//! The room that is owed: what the outcomes of accepted submissions may still take in the ledger.
//! Admission counts it as used, so that the ledger cannot fill under what was let in.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::event::{Accepted, Suite};
use events::room::outcome_bytes_max;
use events::{Event, LanguageSlug, SubmissionId, UserId};
use sandbox::languages::Catalog;

/// The submissions of one principal that have not ended may owe one part in so many of what is
/// free. However many principals owe as much, something is left for the next one.
const OWED_BY_ONE_PARTS: u64 = 4;

/// What is owed, as far as the ledger has told; clones are the same.
#[derive(Clone, Debug)]
pub struct OwedRoom {
    /// The slugs of languages without a compiler, whose outcomes are smaller.
    interpreted: Arc<HashSet<String>>,
    debts: Arc<Mutex<Debts>>,
}

#[derive(Debug, Default)]
struct Debts {
    by_submission: HashMap<SubmissionId, Debt>,
    by_principal: HashMap<UserId, u64>,
    bytes: u64,
    /// Whether the ledger has told everything that has not ended.
    is_known: bool,
}

#[derive(Debug)]
struct Debt {
    principal: UserId,
    bytes: u64,
    /// Whether the ledger has told of the submission. Then only its end ends the debt.
    is_heard: bool,
}

/// The debt of a submission that is about to be accepted. It is taken back unless the submission is
/// then in the ledger: a request may be given up at any moment.
#[derive(Debug)]
pub struct Owing {
    room: OwedRoom,
    id: SubmissionId,
    stays: bool,
}

impl Owing {
    /// Says that the submission is in the ledger, which will tell of its end.
    pub(crate) fn keep(mut self) {
        self.stays = true;
    }

    /// Tells whether its principal owes more than a quarter of what is free of these bytes: what
    /// others owe is not. A principal's only submission never does.
    pub(crate) fn owes_too_much(&self, unused_bytes: u64) -> bool {
        let debts = self.room.lock();
        let Some(debt) = debts.by_submission.get(&self.id) else { return false };
        let own = debts.by_principal.get(&debt.principal).copied().unwrap_or_default();
        let free = unused_bytes.saturating_sub(debts.bytes - own);
        own > debt.bytes && own > free / OWED_BY_ONE_PARTS
    }
}

impl Drop for Owing {
    fn drop(&mut self) {
        // If it is in the ledger all the same, its event has brought the debt or will.
        let mut debts = self.room.lock();
        if !self.stays && !debts.has_heard_of(self.id) {
            debts.remove(self.id);
        }
    }
}

impl OwedRoom {
    /// Begins without debts. The languages decide how much a submission may need.
    pub fn new(catalog: &Catalog) -> Self {
        let languages = catalog.languages().iter();
        let interpreted = languages.filter(|language| !language.is_compiled());
        Self {
            interpreted: Arc::new(interpreted.map(|language| language.slug.clone()).collect()),
            debts: Arc::default(),
        }
    }

    /// Owes a submission that is about to be accepted its outcome.
    // Before the append, since requests that come together must see each other.
    pub(crate) fn enter(
        &self,
        id: SubmissionId,
        principal: &UserId,
        language: &LanguageSlug,
        cases: u32,
    ) -> Owing {
        let bytes = self.bytes_max(language, cases);
        let debt = Debt { principal: principal.clone(), bytes, is_heard: false };
        let mut debts = self.lock();
        if !debts.has_heard_of(id) {
            debts.add(id, debt);
        }
        drop(debts);
        Owing { room: self.clone(), id, stays: false }
    }

    /// Returns how many bytes are owed.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Tells whether the ledger has told everything that has not ended.
    pub fn is_known(&self) -> bool {
        self.lock().is_known
    }

    /// Says that the ledger has told everything up to now.
    pub fn all_is_heard(&self) {
        self.lock().is_known = true;
    }

    /// Forgets all debts, and begins anew to hear of them.
    pub(crate) fn forget(&self) {
        *self.lock() = Debts::default();
    }

    /// Takes an event into account. False if the submission was accepted before and is accepted
    /// again: that is illegal, and what it says does not hold.
    pub(crate) fn hear(&self, id: SubmissionId, event: &Event) -> bool {
        if let Event::Accepted(accepted) = event {
            let Accepted { principal, language, suite, .. } = accepted.as_ref();
            let cases = suite.as_ref().map_or(0, Suite::count);
            let bytes = self.bytes_max(&language.slug, cases);
            let debt = Debt { principal: principal.clone(), bytes, is_heard: true };
            let mut debts = self.lock();
            if debts.has_heard_of(id) {
                return false;
            }
            debts.add(id, debt);
        } else if event.is_terminal() {
            self.lock().remove(id);
        }
        true
    }

    fn bytes_max(&self, language: &LanguageSlug, cases: u32) -> u64 {
        // A language that is not known here may have a compiler.
        outcome_bytes_max(cases, !self.interpreted.contains(language.as_str()))
    }

    fn lock(&self) -> MutexGuard<'_, Debts> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debts {
    fn has_heard_of(&self, id: SubmissionId) -> bool {
        self.by_submission.get(&id).is_some_and(|debt| debt.is_heard)
    }

    fn add(&mut self, id: SubmissionId, debt: Debt) {
        self.remove(id);
        self.bytes += debt.bytes;
        *self.by_principal.entry(debt.principal.clone()).or_default() += debt.bytes;
        self.by_submission.insert(id, debt);
    }

    fn remove(&mut self, id: SubmissionId) {
        let Some(Debt { principal, bytes, is_heard: _ }) = self.by_submission.remove(&id) else {
            return;
        };
        self.bytes -= bytes;
        if let Some(own) = self.by_principal.get_mut(&principal) {
            *own -= bytes;
            // A principal that owes nothing is not kept.
            if *own == 0 {
                self.by_principal.remove(&principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use events::testing;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> SubmissionId {
        SubmissionId::new(Uuid::from_u128(number))
    }

    fn accepted() -> Event {
        Event::Accepted(Box::new(testing::accepted()))
    }

    fn python() -> u64 {
        outcome_bytes_max(0, false)
    }

    fn enter_as(room: &OwedRoom, principal: &str, number: u128, slug: &str, cases: u32) -> Owing {
        room.enter(id(number), &principal.parse().unwrap(), &slug.parse().unwrap(), cases)
    }

    fn enter(room: &OwedRoom, number: u128) -> Owing {
        enter_as(room, testing::USER, number, "python", 0)
    }

    #[test]
    fn what_is_accepted_is_owed_its_outcome_until_it_has_ended() {
        let room = OwedRoom::new(&Catalog::builtin());
        for number in 0..3 {
            room.hear(id(number), &accepted());
        }
        assert_eq!(room.bytes(), 3 * python());
        // Running, and told twice.
        room.hear(id(0), &Event::Started(testing::started(1)));
        room.hear(id(0), &accepted());
        assert_eq!(room.bytes(), 3 * python());
        room.hear(id(0), &Event::Completed(Box::new(testing::completed(1))));
        room.hear(id(1), &Event::Failed(testing::failed(3)));
        room.hear(id(2), &Event::Cancelled(testing::cancelled()));
        assert_eq!(room.bytes(), 0);
    }

    #[test]
    fn a_second_acceptance_changes_nothing() {
        let room = OwedRoom::new(&Catalog::builtin());
        let larger =
            Accepted { principal: "bob".parse().unwrap(), ..testing::accepted_with_cases(256) };
        // Before it is heard, the number of a request that is on its way is a guess.
        let owing = enter_as(&room, "bob", 1, "cpp", 256);
        assert!(room.hear(id(1), &accepted()));
        assert!(!room.hear(id(1), &Event::Accepted(Box::new(larger))));
        drop(owing);
        assert_eq!(room.bytes(), python());
        assert_eq!(room.lock().by_principal.len(), 1);
        assert!(room.hear(id(1), &Event::Completed(Box::new(testing::completed(1)))));
        assert_eq!(room.bytes(), 0);
    }

    #[test]
    fn a_compiler_and_cases_need_more() {
        let room = OwedRoom::new(&Catalog::builtin());
        let owed = |slug: &str, cases| {
            let _owing = enter_as(&room, testing::USER, 1, slug, cases);
            room.bytes()
        };
        assert_eq!(owed("python", 0), python());
        assert_eq!(owed("cpp", 0), outcome_bytes_max(0, true));
        assert_eq!(owed("no-such-language", 3), outcome_bytes_max(3, true));
    }

    #[test]
    fn a_request_that_is_given_up_leaves_no_debt() {
        let room = OwedRoom::new(&Catalog::builtin());
        drop(enter(&room, 1));
        assert_eq!(room.bytes(), 0);
        assert!(room.lock().by_principal.is_empty());
        enter(&room, 2).keep();
        assert_eq!(room.bytes(), python());
    }

    #[test]
    fn a_principal_owes_a_quarter_of_what_is_free_and_others_have_theirs() {
        let room = OwedRoom::new(&Catalog::builtin());
        let unused = 100 * python();
        let let_in = |principal: &str, first: u128| {
            let may = |number: &u128| {
                let owing = enter_as(&room, principal, *number, "python", 0);
                let may = !owing.owes_too_much(unused);
                if may {
                    owing.keep();
                }
                may
            };
            (first..first + 100).take_while(may).count()
        };
        assert_eq!(let_in("ada", 0), 25);
        // Of what ada left.
        assert_eq!(let_in("bob", 1_000), 18);
        // What has ended is owed no more, and what others owe is not free.
        room.hear(id(0), &Event::Completed(Box::new(testing::completed(1))));
        assert_eq!(let_in("ada", 2_000), 0);
        for number in 1..10 {
            room.hear(id(number), &Event::Completed(Box::new(testing::completed(1))));
        }
        assert_eq!(let_in("ada", 3_000), 5);
    }

    #[test]
    fn the_only_submission_of_a_principal_never_owes_too_much_however_little_is_free() {
        let room = OwedRoom::new(&Catalog::builtin());
        let first = enter_as(&room, "ada", 1, "python", 0);
        assert!(!first.owes_too_much(python()));
        assert!(enter_as(&room, "ada", 2, "python", 0).owes_too_much(python()));
        assert!(!enter_as(&room, "bob", 3, "python", 0).owes_too_much(python()));
    }

    #[test]
    fn a_request_that_is_given_up_after_its_event_was_heard_leaves_the_debt() {
        let room = OwedRoom::new(&Catalog::builtin());
        let owing = enter(&room, 1);
        room.hear(id(1), &accepted());
        let second = enter(&room, 1);
        drop((owing, second));
        assert_eq!(room.bytes(), python());
        room.hear(id(1), &Event::Completed(Box::new(testing::completed(1))));
        assert_eq!(room.bytes(), 0);
    }
}
