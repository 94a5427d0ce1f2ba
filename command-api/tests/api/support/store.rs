//! The store in memory, and a switch that makes it answer nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use ledger::memory::MemoryStore;
use ledger::store::{Ack, EventStore, Fault, Message, Publication, PublishError, Usage};

#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: MemoryStore,
    pub(crate) is_away: AtomicBool,
    pub(crate) published: Mutex<Vec<Publication>>,
}

impl FaultyStore {
    pub(crate) fn over(inner: MemoryStore) -> Self {
        Self { inner, is_away: AtomicBool::default(), published: Mutex::default() }
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), Fault> {
        if self.is_away.load(Ordering::SeqCst) { Err("planted".into()) } else { Ok(()) }
    }
}

#[async_trait]
impl EventStore for FaultyStore {
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError> {
        self.check().map_err(PublishError::Unknown)?;
        self.published.lock().unwrap().push(publication.clone());
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
