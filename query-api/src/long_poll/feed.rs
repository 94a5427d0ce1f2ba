//! Follows the ledger, notes how far each submission has got, and tells the requests that wait, so
//! that a waiting request needs no view and no read. Compares the view with the ledger at each
//! beginning: what was folded from a history that proves to be gone is not answered.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use ledger::{FollowError, Ledger, LedgerEntry, ReadError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use views::results::ResultsView;

use super::Waiters;
use crate::error::QueryError;
use crate::freshness::{SeenSequences, ViewHistory};

/// The pause between two tries to follow.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often a view is compared that is away, or folded from a history that is gone.
const COMPARE_PAUSE: Duration = Duration::from_secs(2);

/// Tells of each event.
#[derive(Debug)]
pub struct Feed {
    ledger: Ledger,
    view: Arc<dyn ResultsView>,
    waiters: Arc<Waiters>,
    seen: Arc<SeenSequences>,
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
    /// Makes a feed that tells `waiters` and notes in `seen` once it runs.
    pub fn new(
        ledger: Ledger,
        view: Arc<dyn ResultsView>,
        waiters: Arc<Waiters>,
        seen: Arc<SeenSequences>,
    ) -> Self {
        Self { ledger, view, waiters, seen }
    }

    /// Follows until the stop, beginning again as often as it takes.
    pub async fn run(self, stop: CancellationToken) {
        let keep_following = async {
            loop {
                let Err(lost) = self.follow().await;
                warn!(error = &lost as &dyn Error, "lost the ledger");
                if matches!(lost, FeedLost::Follow(FollowError::Differs(_))) {
                    // In this order: a request that is not told has begun after what was noted of
                    // the old history is forgotten.
                    self.seen.forget();
                    self.waiters.note_set_back();
                }
                self.waiters.set_fed(false);
                // Each waiting request reads for itself from now on.
                self.waiters.tell_of_gap();
                sleep(RETRY_PAUSE).await;
            }
        };
        stop.run_until_cancelled(keep_following).await;
    }

    async fn follow(&self) -> Result<Infallible, FeedLost> {
        let end = self.ledger.end().await?;
        let last = end.map_or(0, |end| end.sequence);
        // Not from the beginning: a request reads everything up to `last` by itself.
        let mut entries = self.ledger.follow(end);
        info!(ledger.sequence = last, "following the ledger");
        // What came before the feed began was not noted one by one, and a process that ran before
        // this one may have answered any of it.
        self.seen.begin_at(last);
        let is_in_ledger = self.compare_view().await;
        self.waiters.set_fed(true);
        self.waiters.tell_of_gap();
        let mut comparing = pin!(self.compare_until_in_ledger(is_in_ledger).fuse());
        loop {
            tokio::select! {
                next = entries.next() => self.tell(&next.ok_or(FeedLost::Ended)??.entry),
                () = &mut comparing => {}
            }
        }
    }

    fn tell(&self, entry: &LedgerEntry) {
        let LedgerEntry::Event(stored) = entry else { return };
        let (id, recorded) = (stored.subject.id, &stored.recorded);
        // Noted and then told. A request begins to be told and then reads what is noted, so it
        // meets the event in one of the two.
        self.seen.note(id, recorded.sequence);
        self.waiters.tell(id, recorded);
    }

    /// Compares the view until the ledger has what it was folded from, as after a rebuild. From
    /// then on the projector keeps it so.
    async fn compare_until_in_ledger(&self, mut is_in_ledger: bool) {
        while !is_in_ledger {
            sleep(COMPARE_PAUSE).await;
            is_in_ledger = self.compare_view().await;
        }
    }

    /// Notes whether the ledger has what the view was folded from, and tells it.
    async fn compare_view(&self) -> bool {
        match self.view_history().await {
            Ok(history) => {
                if history == ViewHistory::Gone {
                    warn!(
                        "the results view was folded from a history that the ledger does not have"
                    );
                }
                self.seen.note_view(history);
                history == ViewHistory::InLedger
            }
            // What was noted before still holds.
            Err(error) => {
                warn!(error = &error as &dyn Error, "cannot compare the results view");
                false
            }
        }
    }

    async fn view_history(&self) -> Result<ViewHistory, QueryError> {
        let Some(last) = self.view.position().await? else { return Ok(ViewHistory::InLedger) };
        let found = self.ledger.position_at(last.sequence).await?;
        let is_in_ledger = found == Some(last);
        Ok(if is_in_ledger { ViewHistory::InLedger } else { ViewHistory::Gone })
    }
}
