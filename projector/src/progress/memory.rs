//! The documents that the last batch left, so that the next one need not load them again. Only a shortcut: what is not
//! here is loaded, and where another writer was faster the guard of the write tells, and everything is loaded.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use events::{SubmissionId, UserId};

use super::collection::Guarded;
use super::tracked::Tracked;
use super::view::Progress;
use crate::projection::Position;

/// How many submissions are kept. A document is half a KiB.
const SUBMISSIONS_MAX: usize = 5_000;
/// How many users are kept. A document is 15 KiB at most.
const USERS_MAX: usize = 500;

/// Documents as they stand at one position.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// What is remembered of submissions.
    pub(super) tracked: BTreeMap<SubmissionId, Tracked>,
    /// Progress by user.
    pub(super) progress: BTreeMap<UserId, Progress>,
}

/// The documents that the last batch left.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Option<(Position, Recalled)>>);

impl Memory {
    /// Takes the documents out, if they are those at `at`. Whoever is cut off before he brings them back has forgotten them.
    pub(super) fn take(&self, at: Position) -> Recalled {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|(position, _)| *position == at).map(|(_, kept)| kept).unwrap_or_default()
    }

    /// Keeps the documents that are likely to be needed again.
    pub(super) fn keep(&self, at: Position, mut recalled: Recalled) {
        recalled.tracked.retain(|_, tracked| !tracked.state.is_terminal());
        keep_latest(&mut recalled.tracked, SUBMISSIONS_MAX);
        keep_latest(&mut recalled.progress, USERS_MAX);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, recalled));
    }
}

/// Drops the documents that were changed longest ago.
fn keep_latest<K: Ord, T: Guarded>(documents: &mut BTreeMap<K, T>, max: usize) {
    let Some(surplus) = documents.len().checked_sub(max).filter(|surplus| *surplus > 0) else {
        return;
    };
    let mut sequences: Vec<u64> = documents.values().map(Guarded::last_seq).collect();
    let (_, oldest_kept, _) = sequences.select_nth_unstable(surplus);
    let oldest_kept = *oldest_kept;
    documents.retain(|_, document| document.last_seq() >= oldest_kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::ProgressKey;

    fn users(count: u64) -> Recalled {
        let user = |number: u64| {
            let principal: UserId = format!("u{number}").parse().unwrap();
            let key = ProgressKey { generation: 1, principal: principal.clone() };
            (principal, Progress { last_seq: number, ..Progress::none(key) })
        };
        Recalled { progress: (0..count).map(user).collect(), tracked: BTreeMap::new() }
    }

    #[test]
    fn the_latest_documents_are_kept_and_only_for_their_position() {
        let (memory, at) = (Memory::default(), Position { generation: 1, sequence: 7 });
        memory.keep(at, users(USERS_MAX as u64 + 10));
        let kept = memory.take(at).progress;
        assert_eq!(kept.len(), USERS_MAX);
        assert_eq!(kept.values().map(Guarded::last_seq).min(), Some(10));
        memory.keep(at, users(1));
        assert!(memory.take(Position { sequence: 8, ..at }).progress.is_empty());
        assert!(memory.take(at).progress.is_empty());
    }
}
