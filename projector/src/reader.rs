//! The ledger as batches of what is ready. Nothing waits for more to come, so that a lone event is folded at once.

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use ledger::{FollowError, Ledger, Stored};
use tokio::task::unconstrained;

use crate::batch::{Batch, BatchError};

/// How large a batch may be.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// In events.
    pub events_max: usize,
    /// In bytes of payload. One event may go over it.
    pub bytes_max: usize,
}

/// Reads the ledger from some event on.
pub struct Reader {
    events: BoxStream<'static, Result<Stored, FollowError>>,
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
    /// Reads everything after `sequence`.
    pub fn after(ledger: &Ledger, sequence: u64, limits: BatchLimits) -> Self {
        Self { events: ledger.follow(sequence + 1), limits, failed: None }
    }

    /// Waits for the next event, and takes what is ready behind it. Nothing is lost when this is dropped while it waits.
    pub async fn next(&mut self) -> Result<Batch, ReaderError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        let first = self.events.next().await.ok_or(ReaderError::Ended)??;
        let mut bytes = first.payload.len();
        let mut events = vec![first.recorded];
        while events.len() < self.limits.events_max && bytes < self.limits.bytes_max {
            let Some(next) = self.ready() else { break };
            bytes += next.payload.len();
            events.push(next.recorded);
        }
        Ok(Batch::new(events)?)
    }

    /// Takes an event that is there already. A failure is kept for later: what came before it is good.
    fn ready(&mut self) -> Option<Stored> {
        // Unconstrained, since the runtime's budget would end every batch after some hundred events.
        match unconstrained(self.events.next()).now_or_never()?? {
            Ok(stored) => Some(stored),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("limits", &self.limits).finish_non_exhaustive()
    }
}
