//! A ledger that answers as a leader does that does not know yet that it was replaced: everything
//! that it answers is true, and old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use ledger::memory::MemoryStore;
use ledger::store::{Ack, Message, Publication, PublishError};
use ledger::{EventStore, Fault, LedgerExtent, StorageUsage};

/// A store of which only the beginning is seen.
#[derive(Debug)]
pub(crate) struct StaleStore {
    store: Arc<MemoryStore>,
    last: AtomicU64,
}

impl StaleStore {
    /// Shows what is in the store now, and nothing that comes later.
    pub(crate) async fn of(store: &Arc<MemoryStore>) -> Arc<Self> {
        let last = store.usage().await.unwrap().last_sequence;
        Arc::new(Self { store: Arc::clone(store), last: AtomicU64::new(last) })
    }

    /// Shows everything from now on.
    pub(crate) fn catch_up(&self) {
        self.last.store(u64::MAX, Ordering::SeqCst);
    }

    fn seen(&self, message: Option<Message>) -> Option<Message> {
        message.filter(|message| message.sequence <= self.last.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl EventStore for StaleStore {
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError> {
        self.store.publish(publication).await
    }

    async fn last(&self, filter: &str) -> Result<Option<Message>, Fault> {
        let newest = self.store.last(filter).await?;
        let mut older = newest.as_ref().map_or(0, |message| message.sequence);
        let mut found = self.seen(newest);
        // An accepted event, which a filter with wildcards asks for, is the only one of its kind.
        while found.is_none() && older > 0 {
            let message = self.store.get(older).await?;
            found = self.seen(message.filter(|message| message.subject == filter));
            older -= 1;
        }
        Ok(found)
    }

    async fn next(&self, subject: &str, from: u64) -> Result<Option<Message>, Fault> {
        Ok(self.seen(self.store.next(subject, from).await?))
    }

    async fn get(&self, sequence: u64) -> Result<Option<Message>, Fault> {
        Ok(self.seen(self.store.get(sequence).await?))
    }

    async fn usage(&self) -> Result<StorageUsage, Fault> {
        let usage = self.store.usage().await?;
        let last = self.last.load(Ordering::SeqCst);
        Ok(StorageUsage { last_sequence: usage.last_sequence.min(last), ..usage })
    }

    async fn extent(&self) -> Result<LedgerExtent, Fault> {
        let extent = self.store.extent().await?;
        let last = self.last.load(Ordering::SeqCst);
        Ok(LedgerExtent { last_sequence: extent.last_sequence.min(last), ..extent })
    }

    fn follow(&self, _from: u64) -> BoxStream<'static, Result<Message, Fault>> {
        // Such a leader hears of nothing new.
        Box::pin(stream::pending())
    }
}
