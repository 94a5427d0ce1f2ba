//! Hears from the ledger itself which submissions have changed, so that nobody who waits has to wait for a view.

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

/// Wakes those who wait.
#[derive(Debug)]
pub struct Feed {
    ledger: Ledger,
    waiters: Arc<Waiters>,
}

/// Why the ledger is not heard any more.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("the end of the ledger is not known")]
    Read(#[from] ReadError),
    #[error("the ledger cannot be followed")]
    Follow(#[from] FollowError),
    #[error("the ledger has ended")]
    Ended,
}

impl Feed {
    /// Will follow `ledger`.
    pub fn new(ledger: Ledger, waiters: Arc<Waiters>) -> Self {
        Self { ledger, waiters }
    }

    /// Follows until the stop, beginning again as often as it takes.
    pub async fn run(self, stop: CancellationToken) {
        let keep_following = async {
            loop {
                let Err(silence) = self.follow().await;
                warn!(error = &silence as &dyn Error, "changes are not heard of");
                self.waiters.set_fed(false);
                // Whoever waits has to look for itself now.
                self.waiters.wake_all();
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        };
        stop.run_until_cancelled(keep_following).await;
    }

    async fn follow(&self) -> Result<Infallible, Silence> {
        let last = self.ledger.last_sequence().await?;
        let mut events = self.ledger.follow(last + 1);
        info!(ledger.sequence = last, "changes are heard of");
        self.waiters.hear(last);
        self.waiters.set_fed(true);
        // Changes may have come before.
        self.waiters.wake_all();
        loop {
            let stored = events.next().await.ok_or(Silence::Ended)??;
            // Before anyone is woken: see `Waiters::heard`.
            self.waiters.hear(stored.recorded.sequence);
            if changes_state(&stored.recorded.envelope.event) {
                self.waiters.wake(stored.subject.id);
            }
        }
    }
}

/// Tells whether a submission's state may be another after the event: nobody waits for less.
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
