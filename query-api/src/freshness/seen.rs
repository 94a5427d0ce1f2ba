//! How far clients have seen ahead of the view, so that no later answer from the view steps back.
//!
//! It covers this process. If there are several replicas, a client that must never see a step back
//! passes `min_seq`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use events::SubmissionId;

/// The most submissions remembered one by one.
// Without a bound this would grow for as long as the view is away: each answer is noted then.
const SUBMISSIONS_MAX: usize = 10_000;

/// The sequences that were answered from the ledger, while the view was behind them.
#[derive(Debug)]
pub(crate) struct SeenSequences {
    state: Mutex<Noted>,
    submissions_max: usize,
}

#[derive(Debug, Default)]
struct Noted {
    sequences: HashMap<SubmissionId, u64>,
    /// The highest sequence of those that are not remembered one by one any more.
    floor: u64,
}

impl Default for SeenSequences {
    fn default() -> Self {
        Self { state: Mutex::default(), submissions_max: SUBMISSIONS_MAX }
    }
}

impl SeenSequences {
    /// Returns the sequence that an answer about `id` must not be behind.
    pub(crate) fn floor(&self, id: SubmissionId) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sequences.get(&id).copied().unwrap_or(0).max(state.floor)
    }

    /// Notes an answer from the ledger.
    pub(crate) fn note(&self, id: SubmissionId, sequence: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = state.sequences.entry(id).or_default();
        *noted = sequence.max(*noted);
        if state.sequences.len() > self.submissions_max {
            // Too strict for other submissions, but only until the view reaches the highest of
            // these. To drop the oldest instead would let their answers step back.
            let last = state.sequences.drain().map(|(_, sequence)| sequence).max();
            state.floor = state.floor.max(last.unwrap_or(0));
        }
    }

    /// Forgets what the view has caught up with: it knows everything up to `upto`.
    pub(crate) fn forget(&self, id: SubmissionId, upto: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Unless a concurrent request has noted a later answer from the ledger.
        if state.sequences.get(&id).is_some_and(|sequence| *sequence <= upto) {
            state.sequences.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> SubmissionId {
        SubmissionId::new(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn the_highest_sequence_of_each_submission_is_its_floor() {
        let seen = SeenSequences::default();
        seen.note(id(1), 7);
        seen.note(id(1), 5);
        assert_eq!((seen.floor(id(1)), seen.floor(id(2))), (7, 0));
        seen.forget(id(1), 6);
        assert_eq!(seen.floor(id(1)), 7, "an answer from the ledger came in between");
        seen.forget(id(1), 7);
        assert_eq!(seen.floor(id(1)), 0);
    }

    #[test]
    fn what_no_longer_fits_becomes_a_floor_for_all() {
        let seen = SeenSequences { submissions_max: 2, ..SeenSequences::default() };
        for number in 1..=3 {
            seen.note(id(number.into()), number);
        }
        assert_eq!(seen.floor(id(9)), 3);
        seen.note(id(1), 8);
        assert_eq!((seen.floor(id(1)), seen.floor(id(2))), (8, 3));
    }
}
