//! The store in memory, and a switch that makes it answer nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use ledger::memory::MemoryStore;
use ledger::store::{Ack, EventStore, Fault, Message, Publication, PublishError, Usage};

#[derive(Debug)]
pub(crate) struct SwitchedStore {
    inner: MemoryStore,
    is_away: AtomicBool,
    reads: AtomicU64,
}

impl SwitchedStore {
    pub(crate) fn over(inner: MemoryStore) -> Self {
        Self { inner, is_away: AtomicBool::default(), reads: AtomicU64::default() }
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// Tells how often it was read.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), Fault> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.is_away.load(Ordering::SeqCst) { Err("planted".into()) } else { Ok(()) }
    }
}

#[async_trait]
impl EventStore for SwitchedStore {
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError> {
        self.check().map_err(PublishError::Unknown)?;
        self.inner.publish(publication).await
    }

    async fn last(&self, filter: &str) -> Result<Option<Message>, Fault> {
        self.check()?;
        self.inner.last(filter).await
    }

    async fn next(&self, subject: &str, from: u64) -> Result<Option<Message>, Fault> {
        self.check()?;
        self.inner.next(subject, from).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Message>, Fault> {
        self.check()?;
        self.inner.get(sequence).await
    }

    async fn usage(&self) -> Result<Usage, Fault> {
        self.check()?;
        self.inner.usage().await
    }

    fn follow(&self, from: u64) -> BoxStream<'static, Message> {
        self.inner.follow(from)
    }
}
