//! How long to wait before the next try, by what is waited for. Waits grow, are bounded, and are
//! spread by chance, so that writers that met once do not meet again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep};

/// Unbounded in number: a deadline ends the tries, or nothing does. The spread adds up to as much
/// again.
const ENDLESS: ExponentialBuilder = ExponentialBuilder::new().without_max_times().with_jitter();

/// For conflicts and answers that were lost. The other writer needs some milliseconds.
pub(crate) const QUICK: ExponentialBuilder =
    ENDLESS.with_min_delay(Duration::from_micros(1_500)).with_max_delay(Duration::from_millis(180));

/// For servers that are away. They need seconds to start or to elect a leader.
pub(crate) const PATIENT: ExponentialBuilder =
    ENDLESS.with_min_delay(Duration::from_millis(40)).with_max_delay(Duration::from_millis(1_500));

/// The waits of one operation that is tried again and again.
#[derive(Debug)]
pub(crate) struct Waits(ExponentialBackoff);

impl Waits {
    /// Begins with the shortest wait.
    pub(crate) fn of(policy: ExponentialBuilder) -> Self {
        Self(policy.build())
    }

    /// Waits.
    pub(crate) async fn wait(&mut self) {
        if let Some(wait) = self.0.next() {
            sleep(wait).await;
        }
    }
}

/// Ends the tries of `backon` at a deadline: a wait that would end after it is not begun.
pub(crate) fn until<E>(deadline: Instant) -> impl FnMut(&E, Option<Duration>) -> Option<Duration> {
    // A try after the deadline would be cut off at once, and its "too late" would replace the fault
    // that was met before.
    move |_error, wait| wait.filter(|wait| Instant::now() + *wait < deadline)
}
