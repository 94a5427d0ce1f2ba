//! What the last batch left, so that the next one need not load it again. Only a shortcut: a value
//! that is not here is loaded, and one that is here counts only as long as no other process has
//! moved the position.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use views::generation::Position;

/// What a view held at one position.
#[derive(Debug, Default)]
pub(crate) struct LastBatch<T>(Mutex<Option<(Position, T)>>);

impl<T: Default> LastBatch<T> {
    /// Takes what was kept at `at`. If the caller is cancelled before [`LastBatch::keep`], nothing
    /// is kept.
    pub(crate) fn take(&self, at: Position) -> T {
        // Taken out and not lent: after a batch that failed half-way the store may hold some of its
        // changes, so the next try has to load what the store has.
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|(position, _)| *position == at).map(|(_, kept)| kept).unwrap_or_default()
    }

    /// Keeps what the view holds at `at`.
    pub(crate) fn keep(&self, at: Position, held: T) {
        // A panic cannot leave half a value here: the lock covers one assignment.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, held));
    }
}

/// Drops the values that were changed longest ago, if there are more than `max`. `last_event` tells
/// which event changed a value last.
pub(crate) fn keep_latest<K: Ord, T>(
    values: &mut BTreeMap<K, T>,
    max: usize,
    last_event: impl Fn(&T) -> u64,
) {
    let Some(surplus) = values.len().checked_sub(max).filter(|surplus| *surplus > 0) else {
        return;
    };
    // A selection and not a sort, since this runs after each batch, over thousands of values.
    let mut sequences: Vec<u64> = values.values().map(&last_event).collect();
    let (_, oldest_kept, _) = sequences.select_nth_unstable(surplus);
    let oldest_kept = *oldest_kept;
    // An event changes one value only, so no two sequences are equal and exactly `max` values stay.
    values.retain(|_, value| last_event(value) >= oldest_kept);
}

#[cfg(test)]
mod tests {
    use events::LedgerPosition;
    use events::testing::LEDGER;

    use super::*;

    #[test]
    fn what_was_kept_is_given_once_and_only_for_its_position() {
        let last_batch = LastBatch::default();
        let stands = |sequence| {
            let digest = events::Digest::of(b"an event");
            Some(LedgerPosition { ledger: LEDGER, sequence, digest })
        };
        let at = Position { generation: 1, last: stands(7) };
        last_batch.keep(at, vec![1]);
        assert_eq!(last_batch.take(at), [1]);
        assert!(last_batch.take(at).is_empty());
        last_batch.keep(at, vec![1]);
        assert!(last_batch.take(Position { last: stands(8), ..at }).is_empty());
        assert!(last_batch.take(at).is_empty());
    }

    #[test]
    fn the_latest_values_are_kept() {
        let mut values: BTreeMap<u64, u64> = (0..15).map(|number| (number, number)).collect();
        keep_latest(&mut values, 5, |changed| *changed);
        assert_eq!(values.into_keys().collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
    }
}
