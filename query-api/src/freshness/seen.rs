//! How far clients may have seen: the last event of each submission that the feed has told or that
//! was read from the ledger. No later answer from the view steps back behind it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use events::SubmissionId;

/// The most submissions of one age that are remembered one by one.
// A bound, since the feed tells every submission of the installation. What is older becomes one
// sequence for all, which a view that is not far behind has passed by then.
const SUBMISSIONS_MAX: usize = 10_000;

/// What answers must not be behind.
#[derive(Debug)]
pub struct SeenSequences {
    state: Mutex<Noted>,
    submissions_max: usize,
}

/// The sequences that an answer about one submission must not be behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Required {
    /// How often the ledger had been found to be another when they were noted.
    pub(crate) set_backs: u64,
    /// The submission's own last event that is remembered; 0 if none is.
    pub(crate) own: u64,
    /// Where the view must stand for a submission that has not ended. Nothing suffices while the
    /// end of the ledger is not known, since a process that ran before this one may have told any
    /// of it, and while the view was not compared with the ledger.
    pub(crate) of_view: u64,
}

/// What is known of the history that the view was folded from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewHistory {
    /// It was not compared with the ledger yet. Ended submissions are answered from it all the
    /// same: the ledger may be away for long.
    #[default]
    NotCompared,
    /// The ledger has it.
    InLedger,
    /// The ledger does not have it: the ledger was set back or replaced.
    Gone,
}

/// Two ages of submissions. When the young ones are too many, they become the old ones.
#[derive(Debug, Default)]
struct Noted {
    young: HashMap<SubmissionId, u64>,
    old: HashMap<SubmissionId, u64>,
    /// The highest sequence of those that are not remembered one by one; none until the end of the
    /// ledger was read once.
    rest: Option<u64>,
    view: ViewHistory,
    /// How often the ledger was found to be another.
    set_backs: u64,
}

impl Default for SeenSequences {
    fn default() -> Self {
        Self { state: Mutex::default(), submissions_max: SUBMISSIONS_MAX }
    }
}

impl SeenSequences {
    /// Begins with the end of the ledger: what came up to it was not noted one by one.
    pub fn begin_at(&self, last: u64) {
        let mut state = self.state();
        state.rest = Some(state.rest.unwrap_or(0).max(last));
    }

    /// Forgets everything: the ledger was set back, and its sequences stand for other events now.
    /// The view counts as folded from what is gone until it is compared.
    pub fn forget(&self) {
        let mut state = self.state();
        let set_backs = state.set_backs + 1;
        *state = Noted { view: ViewHistory::Gone, set_backs, ..Noted::default() };
    }

    /// Notes whether the ledger has what the view was folded from.
    pub fn note_view(&self, view: ViewHistory) {
        self.state().view = view;
    }

    /// Tells whether the view was folded from a history that is gone. Nothing that it has may be
    /// answered then.
    pub(crate) fn is_view_gone(&self) -> bool {
        self.state().view == ViewHistory::Gone
    }

    /// Notes an event of a submission.
    pub fn note(&self, id: SubmissionId, sequence: u64) {
        self.note_in(&mut self.state(), id, sequence);
    }

    /// Notes the last event of an answer to which `required` applied.
    // An answer from a history that has gone since would require what never comes.
    pub(crate) fn note_answer(&self, id: SubmissionId, sequence: u64, required: Required) {
        let mut state = self.state();
        if state.set_backs == required.set_backs {
            self.note_in(&mut state, id, sequence);
        }
    }

    fn note_in(&self, state: &mut Noted, id: SubmissionId, sequence: u64) {
        let noted = state.young.entry(id).or_default();
        *noted = sequence.max(*noted);
        if state.young.len() > self.submissions_max {
            let young = std::mem::take(&mut state.young);
            let old = std::mem::replace(&mut state.old, young);
            // Too strict for other submissions, but only until the view reaches the highest of
            // these. To forget them instead would let their answers step back.
            let highest = old.into_values().max().unwrap_or(0);
            state.rest = state.rest.map(|rest| rest.max(highest));
        }
    }

    /// Returns what an answer about `id` must not be behind.
    pub(crate) fn required(&self, id: SubmissionId) -> Required {
        let state = self.state();
        let noted = [&state.young, &state.old].into_iter().filter_map(|noted| noted.get(&id));
        let own = noted.copied().max().unwrap_or(0);
        let of_view = match state.view {
            ViewHistory::InLedger => state.rest.map(|rest| rest.max(own)),
            ViewHistory::NotCompared | ViewHistory::Gone => None,
        };
        Required { set_backs: state.set_backs, own, of_view: of_view.unwrap_or(u64::MAX) }
    }

    fn state(&self) -> MutexGuard<'_, Noted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> SubmissionId {
        SubmissionId::new(uuid::Uuid::from_u128(number))
    }

    /// Begins at a sequence, with a view of this ledger.
    fn begun(last: u64) -> SeenSequences {
        let seen = SeenSequences::default();
        seen.begin_at(last);
        seen.note_view(ViewHistory::InLedger);
        seen
    }

    #[test]
    fn no_view_suffices_before_the_end_of_the_ledger_is_known() {
        let seen = SeenSequences::default();
        seen.note_view(ViewHistory::InLedger);
        seen.note(id(1), 7);
        assert_eq!(seen.required(id(1)), Required { set_backs: 0, own: 7, of_view: u64::MAX });
        seen.begin_at(5);
        assert_eq!(seen.required(id(1)), Required { set_backs: 0, own: 7, of_view: 7 });
        assert_eq!(seen.required(id(2)), Required { set_backs: 0, own: 0, of_view: 5 });
        seen.begin_at(4);
        assert_eq!(seen.required(id(2)).of_view, 5, "it never goes down");
    }

    #[test]
    fn no_view_suffices_before_it_is_compared_with_the_ledger() {
        let seen = SeenSequences::default();
        seen.begin_at(5);
        assert_eq!((seen.required(id(1)).of_view, seen.is_view_gone()), (u64::MAX, false));
        seen.note_view(ViewHistory::InLedger);
        assert_eq!(seen.required(id(1)).of_view, 5);
        seen.note(id(1), 7);
        seen.forget();
        assert!(seen.is_view_gone(), "until it is compared anew");
        assert_eq!(seen.required(id(1)), Required { set_backs: 1, own: 0, of_view: u64::MAX });
        seen.begin_at(3);
        assert!(seen.is_view_gone());
        seen.note_view(ViewHistory::InLedger);
        assert_eq!((seen.required(id(1)).of_view, seen.is_view_gone()), (3, false));
    }

    #[test]
    fn an_answer_from_a_history_that_has_gone_since_is_not_noted() {
        let seen = begun(5);
        let required = seen.required(id(1));
        seen.note_answer(id(1), 4, required);
        assert_eq!(seen.required(id(1)).own, 4);
        seen.forget();
        seen.note_answer(id(1), 4, required);
        assert_eq!(seen.required(id(1)).own, 0);
    }

    #[test]
    fn the_highest_sequence_of_each_submission_is_required() {
        let seen = begun(0);
        seen.note(id(1), 7);
        seen.note(id(1), 5);
        assert_eq!((seen.required(id(1)).own, seen.required(id(2)).own), (7, 0));
    }

    #[test]
    fn what_no_longer_fits_becomes_a_requirement_for_all_an_age_later() {
        let seen = SeenSequences { submissions_max: 2, ..begun(0) };
        for number in 1..=3 {
            seen.note(id(number.into()), number);
        }
        assert_eq!(seen.required(id(9)).of_view, 0, "the first age is still remembered");
        assert_eq!(seen.required(id(1)), Required { set_backs: 0, own: 1, of_view: 1 });
        for number in 4..=6 {
            seen.note(id(number.into()), number);
        }
        assert_eq!(seen.required(id(9)), Required { set_backs: 0, own: 0, of_view: 3 });
        seen.note(id(1), 8);
        assert_eq!((seen.required(id(1)).own, seen.required(id(2)).of_view), (8, 3));
    }
}
