//! A ledger in memory that already has a history, and gets more when told.

use std::sync::Arc;

use chrono::DateTime;
use events::Recorded;
use events::testing::ManualClock;
use futures::StreamExt as _;
use ledger::memory::MemoryStore;
use ledger::{EventStore as _, Ledger};

use super::history::subject;

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

    /// Connections events as they are, legal or not.
    pub(crate) fn append(&self, history: &[Recorded]) {
        for recorded in history {
            self.store.put_raw(&subject(recorded), recorded.envelope.encode());
        }
    }

    /// Reads everything, as a replay does.
    pub(crate) async fn replay(&self) -> Vec<Recorded> {
        let last = self.store.usage().await.unwrap().last_sequence;
        let count = usize::try_from(last).unwrap();
        let stored: Vec<_> = self.ledger.follow(1).take(count).collect().await;
        stored.into_iter().map(|stored| stored.unwrap().recorded).collect()
    }
}
