//! A ledger in memory that already has a history, and gets more when told.

use std::sync::Arc;

use chrono::DateTime;
use events::Recorded;
use events::testing::ManualClock;
use futures::StreamExt as _;
use ledger::memory::MemoryStore;
use ledger::{EventStore as _, Ledger, LedgerEntry};

use super::history::subject;

/// The event of an entry, unless it is foreign.
pub(crate) fn recorded(entry: LedgerEntry) -> Option<Recorded> {
    match entry {
        LedgerEntry::Event(stored) => Some(stored.recorded),
        LedgerEntry::Foreign(_) => None,
    }
}

/// A ledger in memory.
pub(crate) struct Memory {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) ledger: Ledger,
}

impl Memory {
    /// Makes an empty one, whose clock stands still.
    pub(crate) fn empty() -> Self {
        let now = DateTime::from_timestamp(1_795_000_000, 123_456_789).unwrap();
        let clock = Arc::new(ManualClock::at(now));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let ledger = Ledger::new(store.clone(), clock);
        Self { store, ledger }
    }

    /// Makes one that holds a history.
    pub(crate) fn of(history: &[Recorded]) -> Self {
        let memory = Self::empty();
        memory.append(history);
        memory
    }

    /// Appends events as they are, legal or not.
    pub(crate) fn append(&self, history: &[Recorded]) {
        for recorded in history {
            self.store.put_raw(&subject(recorded), recorded.envelope.encode());
        }
    }

    /// Reads everything, as a replay does.
    pub(crate) async fn replay(&self) -> Vec<Recorded> {
        let last = self.store.usage().await.unwrap().last_sequence;
        let count = usize::try_from(last).unwrap();
        let followed: Vec<_> = self.ledger.follow(None).take(count).collect().await;
        let entries = followed.into_iter().map(|followed| followed.unwrap().entry);
        entries.filter_map(recorded).collect()
    }
}
