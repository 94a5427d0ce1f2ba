//! Keeps the count of what waits: follows the ledger, so that the submissions of other copies of this
//! service count, and those that have begun do not.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use events::QueueName;
use futures::StreamExt as _;
use ledger::{FollowError, Ledger, Queue, QueueError, ReadError};
use tracing::warn;

use super::FairShares;

/// The pause between two tries to follow the ledger.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

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
    /// Follows for ever, beginning again as often as it takes. Meanwhile fewer submissions count
    /// than wait, and more are normal than should be: nothing is refused for this.
    pub(crate) async fn run(self) -> Infallible {
        loop {
            let Err(lost) = self.follow().await;
            warn!(error = &lost as &dyn Error, "shares are counted anew");
            self.shares.clear();
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn follow(&self) -> Result<Infallible, SharesLost> {
        let mut events = self.ledger.follow(self.first_waiting().await?);
        loop {
            let stored = events.next().await.ok_or(SharesLost::Ended)??;
            let envelope = stored.recorded.envelope;
            self.shares.hear(envelope.submission, &envelope.event);
        }
    }

    /// Returns a sequence before which no submission waits.
    async fn first_waiting(&self) -> Result<u64, SharesLost> {
        // Before the queues: what is accepted after this look is followed.
        let mut first = self.ledger.last_sequence().await? + 1;
        for name in &self.queues {
            first = first.min(match self.queue.status(name).await? {
                // Where no executor has ever been, all may wait.
                None => 1,
                Some(it) if it.backlog.waiting + it.backlog.held == 0 => continue,
                Some(it) => it.acknowledged + 1,
            });
        }
        Ok(first)
    }
}
