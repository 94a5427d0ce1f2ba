//! The waiting request: it sleeps until its submission changes.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use events::Submission;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::waiters::Waiter;
use crate::freshness::FreshSubmissions;
use crate::metrics;

/// How often a waiting request reads the ledger while it is not told everything.
const READ_PAUSE: Duration = Duration::from_millis(500);

/// Waits until a submission has another state than `first`. When the time is over, the answer is
/// what is known then. None as soon as the ledger proves to have another history: what was known is
/// not in it.
pub(crate) async fn wait_for_change(
    first: Arc<Submission>,
    mut waiter: Waiter,
    time: Duration,
    submissions: &FreshSubmissions,
    stop: &CancellationToken,
) -> Option<Arc<Submission>> {
    let _counted = metrics::waiting();
    let deadline = Instant::now() + time;
    let state = first.state;
    let mut known = first;
    let mut must_read = false;
    loop {
        if let Some(newest) = waiter.newest(&known).filter(|_| !must_read) {
            known = newest;
        } else {
            tokio::select! {
                read = read_unless_told(&mut waiter, submissions, &known) => known = read,
                () = sleep_until(deadline) => {}
                () = stop.cancelled() => return Some(known),
            }
        }
        if waiter.was_set_back() {
            return None;
        }
        if known.state != state || Instant::now() >= deadline {
            return Some(known);
        }
        // A request that is told everything has nothing to look for. A client that comes again is
        // answered by a read in any case.
        let is_told = waiter.is_fed() && waiter.newest(&known).is_some();
        let wake_at = if is_told { deadline } else { deadline.min(Instant::now() + READ_PAUSE) };
        must_read = tokio::select! {
            () = waiter.changed() => false,
            () = sleep_until(wake_at) => !is_told,
            // A stop lets requests finish for less time than the longest wait takes.
            () = stop.cancelled() => return Some(known),
        };
    }
}

/// Reads the ledger unless everything was told, and returns the newest that is known.
async fn read_unless_told(
    waiter: &mut Waiter,
    submissions: &FreshSubmissions,
    known: &Arc<Submission>,
) -> Arc<Submission> {
    let _turn = waiter.turn_among_polls().await;
    // Another request that waits for the same submission may have read in the meantime.
    if let Some(told) = waiter.newest(known).filter(|_| waiter.is_fed()) {
        return told;
    }
    let gaps = waiter.gaps();
    // Asked after the gaps are read, since a set back is noted before its gap is told. What is
    // known from before it must not be put beside what is told from now on: others would get it.
    if waiter.was_set_back() {
        return Arc::clone(known);
    }
    // Not from the view: the projector gets an event no sooner than the feed does.
    match submissions.read_ledger(known.id).await {
        Ok(read) => {
            waiter.has_read_after(gaps);
            // A leader that does not know yet that it was replaced may lack what is known already.
            let read = read.filter(|read| read.sequence > known.sequence);
            let read = read.unwrap_or_else(|| Arc::clone(known));
            waiter.newest(&read).unwrap_or(read)
        }
        // The request goes on waiting: it has a good answer already, and the ledger may come back
        // before the deadline.
        Err(error) => {
            warn!(error = &error as &dyn Error, "cannot read the ledger while waiting");
            Arc::clone(known)
        }
    }
}
