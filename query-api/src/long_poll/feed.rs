//! Follows the ledger for changes of submissions, so that a waiting request need not wait for a
//! view.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use events::Event;
use futures::StreamExt as _;
use ledger::{FollowError, Ledger, ReadError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Waiters;

/// The pause between two tries to follow.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Wakes waiting requests.
#[derive(Debug)]
pub struct Feed {
    ledger: Ledger,
    waiters: Arc<Waiters>,
}

/// Why the ledger is not followed any more.
#[derive(Debug, thiserror::Error)]
enum FeedLost {
    #[error("the end of the ledger cannot be read")]
    Read(#[from] ReadError),
    #[error("the ledger cannot be followed")]
    Follow(#[from] FollowError),
    #[error("the ledger has ended")]
    Ended,
}

impl Feed {
    /// Makes a feed that wakes `waiters` once it runs.
    pub fn new(ledger: Ledger, waiters: Arc<Waiters>) -> Self {
        Self { ledger, waiters }
    }

    /// Follows until the stop, beginning again as often as it takes.
    pub async fn run(self, stop: CancellationToken) {
        let keep_following = async {
            loop {
                let Err(lost) = self.follow().await;
                warn!(error = &lost as &dyn Error, "lost the ledger");
                self.waiters.set_fed(false);
                // Changes may have been missed, and each waiting request looks for itself from now
                // on.
                self.waiters.wake_all();
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        };
        stop.run_until_cancelled(keep_following).await;
    }

    async fn follow(&self) -> Result<Infallible, FeedLost> {
        let last = self.ledger.last_sequence().await?;
        // Not from the beginning: a request reads everything up to `last` by itself.
        let mut events = self.ledger.follow(last + 1);
        info!(ledger.sequence = last, "following the ledger");
        self.waiters.hear(last);
        self.waiters.set_fed(true);
        // Changes may have come before the feed began.
        self.waiters.wake_all();
        loop {
            let stored = events.next().await.ok_or(FeedLost::Ended)??;
            // Each event and not only those that wake: `heard` promises all events up to it. Before
            // the wake: a request that begins too late to be woken finds the event in `heard`.
            self.waiters.hear(stored.recorded.sequence);
            if changes_state(&stored.recorded.envelope.event) {
                self.waiters.wake(stored.subject.id);
            }
        }
    }
}

/// Tells whether a submission's state may be another after the event. Lesser changes wake no
/// request.
fn changes_state(event: &Event) -> bool {
    match event {
        Event::Accepted(_)
        | Event::Started(_)
        | Event::CancellationRequested(_)
        | Event::Completed(_)
        | Event::Failed(_)
        | Event::Cancelled(_) => true,
        Event::Compiled(_) | Event::Judged(_) | Event::Lost(_) => false,
    }
}
