//! The states that the last batch left, so that the next one need not load them again. Only a shortcut: what is not
//! here is loaded, and what is here counts only as long as nobody else has moved the position.

use std::sync::{Mutex, PoisonError};

use events::Fold;

use super::changes::States;
use crate::projection::Position;

/// How many submissions are kept. The largest part of each is the compiler's output, 64 KiB at most.
const SUBMISSIONS_MAX: usize = 1_000;

/// The states of live submissions at one position.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Option<(Position, States)>>);

impl Memory {
    /// Takes the states out, if they are those at `at`. Whoever is cut off before he brings them back has forgotten them.
    pub(super) fn take(&self, at: Position) -> States {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|(position, _)| *position == at).map(|(_, states)| states).unwrap_or_default()
    }

    /// Keeps the states of submissions that are not over, the latest ones if they are many.
    pub(super) fn keep(&self, at: Position, mut states: States) {
        states.retain(|_, fold| is_live(fold));
        if states.len() > SUBMISSIONS_MAX {
            let mut sequences: Vec<u64> = states.values().map(last_event).collect();
            let surplus = sequences.len() - SUBMISSIONS_MAX;
            let (_, oldest_kept, _) = sequences.select_nth_unstable(surplus);
            let oldest_kept = *oldest_kept;
            states.retain(|_, fold| last_event(fold) >= oldest_kept);
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, states));
    }
}

fn is_live(fold: &Fold) -> bool {
    fold.submission.as_ref().is_some_and(|submission| !submission.state.is_terminal())
}

fn last_event(fold: &Fold) -> u64 {
    fold.submission.as_ref().map_or(0, |submission| submission.sequence)
}
