//! Keeps the count of what waits: reads the ledger, so that the submissions of other copies of
//! this service count, and those that have begun do not.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use events::QueueName;
use futures::StreamExt as _;
use ledger::{FollowError, Ledger, Queue, QueueError, ReadError};
use tracing::warn;

use super::FairShares;

/// The pause between two looks at the ledger's end. What has begun or ended in it still counts, and
/// what other copies have accepted does not yet.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// The pause between two tries to follow the ledger.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Events that are read back at most, to know what waits at the start. It takes about a second.
const LOOK_BACK_MAX: u64 = 200_000;

/// Follows the ledger for the shares.
#[derive(Debug)]
pub(crate) struct ShareFeed {
    pub(crate) shares: FairShares,
    pub(crate) ledger: Ledger,
    pub(crate) queue: Queue,
    /// Every queue that submissions can wait in.
    pub(crate) queues: Vec<QueueName>,
}

/// Why the ledger is not followed any more.
#[derive(Debug, thiserror::Error)]
enum SharesLost {
    #[error("the end of the ledger cannot be read")]
    Read(#[from] ReadError),
    #[error("the queues cannot be looked at")]
    Queue(#[from] QueueError),
    #[error("the ledger cannot be followed")]
    Follow(#[from] FollowError),
    #[error("the ledger has ended")]
    Ended,
}

impl ShareFeed {
    /// Follows for ever, beginning again as often as it takes. Meanwhile every submission is
    /// normal: nothing is refused for this.
    pub(crate) async fn run(self) -> Infallible {
        let mut looks_back = true;
        loop {
            let Err(lost) = self.follow(looks_back).await;
            warn!(error = &lost as &dyn Error, "shares are counted anew");
            self.shares.set_fed(false);
            // What could not be read stands behind the end by then.
            looks_back = false;
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn follow(&self, looks_back: bool) -> Result<Infallible, SharesLost> {
        let last = self.ledger.last_sequence().await?;
        let mut next = if looks_back { self.first_waiting(last).await? } else { last + 1 };
        loop {
            let last = self.ledger.last_sequence().await?;
            // Not as they come: one more reader that is woken by each event costs each submission
            // time.
            let mut events = self.ledger.follow(next);
            while next <= last {
                let stored = events.next().await.ok_or(SharesLost::Ended)??;
                let (sequence, envelope) = (stored.recorded.sequence, stored.recorded.envelope);
                self.shares.hear(envelope.submission, &envelope.event);
                next = sequence + 1;
            }
            self.shares.set_fed(true);
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Returns a sequence before which no submission waits, or too long ago to look for it.
    async fn first_waiting(&self, last: u64) -> Result<u64, SharesLost> {
        let mut first = last + 1;
        for name in &self.queues {
            first = first.min(match self.queue.status(name).await? {
                Some(it) if it.backlog.waiting + it.backlog.held > 0 => it.acknowledged + 1,
                // Where no executor has ever been, none is kept waiting by others.
                Some(_) | None => continue,
            });
        }
        Ok(first.max(last.saturating_sub(LOOK_BACK_MAX)))
    }
}
