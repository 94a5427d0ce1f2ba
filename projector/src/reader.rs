//! Reads the ledger as batches: the next entry, and what is ready or comes within a short time.

use std::time::Duration;

use events::LedgerPosition;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use ledger::{FollowError, Followed, Ledger, LedgerEntry};
use tokio::task::unconstrained;
use tokio::time::{Instant, timeout_at};

use crate::batch::{BatchError, EventBatch};

/// How large a batch may be.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct BatchLimits {
    pub events_max: usize,
    /// Counts payloads. The last event of a batch may go over it.
    pub bytes_max: usize,
    /// How long the first event waits for others.
    pub time_max: Duration,
}

/// Reads the ledger in batches.
pub struct Reader {
    entries: BoxStream<'static, Result<Followed, FollowError>>,
    limits: BatchLimits,
    failed: Option<FollowError>,
}

/// Why there is no next batch.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The ledger cannot be read on from here, and trying again does not help.
    #[error("the ledger cannot be followed")]
    Follow(#[from] FollowError),
    /// The ledger gave events out of order.
    #[error("the ledger gave events out of order")]
    Order(#[from] BatchError),
    /// The connection was closed for good.
    #[error("the ledger has ended")]
    Ended,
}

impl Reader {
    /// Reads everything after a position; from the first entry on if there is none.
    pub fn after(ledger: &Ledger, last: Option<LedgerPosition>, limits: BatchLimits) -> Self {
        Self { entries: ledger.follow(last), limits, failed: None }
    }

    /// Waits for the next event, and takes what comes behind it.
    ///
    /// Not cancel safe: events that were taken before the future is dropped are lost, so make a new
    /// reader.
    pub async fn next(&mut self) -> Result<EventBatch, ReaderError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        let first = self.entries.next().await.ok_or(ReaderError::Ended)??;
        // From the first event, so that no event waits longer than this for others.
        let until = Instant::now() + self.limits.time_max;
        let mut bytes = bytes_of(&first);
        let mut entries = vec![first];
        while entries.len() < self.limits.events_max && bytes < self.limits.bytes_max {
            let Some(next) = self.next_until(until).await else { break };
            // The entry that crosses the bound stays in the batch: it cannot be put back.
            bytes += bytes_of(&next);
            entries.push(next);
        }
        Ok(EventBatch::new(entries)?)
    }

    /// Takes the next event, if it comes before `until`.
    async fn next_until(&mut self, until: Instant) -> Option<Followed> {
        // Unconstrained, since the runtime's budget would end every batch after a few hundred
        // events.
        match unconstrained(timeout_at(until, self.entries.next())).await.ok()?? {
            Ok(followed) => Some(followed),
            Err(error) => {
                // Kept for the next call: the events before the failure are good, and are folded.
                self.failed = Some(error);
                None
            }
        }
    }
}

fn bytes_of(followed: &Followed) -> usize {
    match &followed.entry {
        LedgerEntry::Event(stored) => stored.payload.len(),
        LedgerEntry::Foreign(foreign) => foreign.payload.len(),
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("limits", &self.limits).finish_non_exhaustive()
    }
}
