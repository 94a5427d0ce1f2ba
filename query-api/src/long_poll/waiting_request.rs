//! The waiting request: it sleeps until its submission changes.

use std::error::Error;
use std::time::Duration;

use events::Submission;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::waiters::Waiter;
use crate::freshness::FreshSubmissions;
use crate::metrics;

/// How often a waiting request looks into the ledger while changes are announced.
// A guard against a lost announcement.
const LOOK_WHEN_FED: Duration = Duration::from_secs(2);
/// How often a waiting request looks into the ledger while no changes are announced.
const LOOK_WHEN_UNFED: Duration = Duration::from_millis(500);

/// Waits until a submission has another state than `first`. When the time is over, the answer is
/// what was read last.
pub(crate) async fn wait_for_change(
    first: Submission,
    mut waiter: Waiter,
    time: Duration,
    submissions: &FreshSubmissions,
    stop: &CancellationToken,
) -> Submission {
    let _counted = metrics::waiting();
    let deadline = Instant::now() + time;
    let mut known = first;
    loop {
        let state = known.state;
        let pause = if waiter.is_fed() { LOOK_WHEN_FED } else { LOOK_WHEN_UNFED };
        // The last look is at the deadline itself, so that the answer has a change that was not
        // announced.
        let look_at = (Instant::now() + pause).min(deadline);
        tokio::select! {
            () = waiter.changed() => {}
            () = tokio::time::sleep_until(look_at) => {}
            // A stop lets requests finish for less time than the longest wait takes.
            () = stop.cancelled() => return known,
        }
        // Not from the view: the projector gets the same event no sooner than the feed that woke
        // this request.
        match submissions.fold(known.id, None).await {
            Ok(now) => known = now.unwrap_or(known),
            // The request goes on waiting: it has a good answer already, and the ledger may come
            // back before the deadline.
            Err(error) => {
                warn!(error = &error as &dyn Error, "cannot read the ledger while waiting");
            }
        }
        if known.state != state || Instant::now() >= deadline {
            return known;
        }
    }
}
