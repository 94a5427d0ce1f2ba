//! A ledger whose answers take time, and that counts how many are asked for at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use ledger::memory::MemoryStore;
use ledger::store::{Ack, Message, Publication, PublishError};
use ledger::{EventStore, Fault, LedgerExtent, StorageUsage};
use tokio::time::sleep;

/// How long it takes to find the last message of a subject.
const ANSWER_TIME: Duration = Duration::from_millis(10);

/// A slow store.
#[derive(Debug)]
pub(crate) struct CrowdedStore {
    store: Arc<MemoryStore>,
    asked: AtomicUsize,
    most: AtomicUsize,
}

impl CrowdedStore {
    pub(crate) fn of(store: &Arc<MemoryStore>) -> Arc<Self> {
        let (asked, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { store: Arc::clone(store), asked, most })
    }

    /// Returns how many asked for a last message at once, at the most.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl EventStore for CrowdedStore {
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError> {
        self.store.publish(publication).await
    }

    async fn last(&self, filter: &str) -> Result<Option<Message>, Fault> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(asked, Ordering::SeqCst);
        sleep(ANSWER_TIME).await;
        self.asked.fetch_sub(1, Ordering::SeqCst);
        self.store.last(filter).await
    }

    async fn next(&self, subject: &str, from: u64) -> Result<Option<Message>, Fault> {
        self.store.next(subject, from).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Message>, Fault> {
        self.store.get(sequence).await
    }

    async fn usage(&self) -> Result<StorageUsage, Fault> {
        self.store.usage().await
    }

    async fn extent(&self) -> Result<LedgerExtent, Fault> {
        self.store.extent().await
    }

    fn follow(&self, from: u64) -> BoxStream<'static, Result<Message, Fault>> {
        self.store.follow(from)
    }
}
