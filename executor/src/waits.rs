//! How long to wait before something is tried again that comes back by itself. There is no last
//! try: giving up would lose a submission or leave an executor idle for ever.

use std::error::Error;
use std::time::Duration;

use backon::{ExponentialBackoff, ExponentialBuilder, Retryable};
use tracing::warn;

/// Returns the waits for a part that is away, such as NATS or the object store.
pub(crate) fn until_back() -> ExponentialBuilder {
    doubling(Duration::from_millis(100))
}

/// Returns the waits for an engine that failed to make or to remove a container.
pub(crate) fn until_engine_works() -> ExponentialBuilder {
    doubling(Duration::from_millis(250))
}

/// Tries until it succeeds. Each failure is logged with `message`, which says what is not there
/// yet.
pub(crate) async fn until_success<T, E, F>(attempt: impl FnMut() -> F, message: &'static str) -> T
where
    E: std::error::Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let tries = attempt.retry(until_back()).notify(|error, _wait| {
        warn!(error = error as &dyn Error, "{message}");
    });
    tries.await.expect("there is no last try")
}

/// Returns the time until the next try.
pub(crate) fn next_wait(waits: &mut ExponentialBackoff) -> Duration {
    waits.next().expect("there is no last try")
}

fn doubling(first: Duration) -> ExponentialBuilder {
    // At most ten seconds, so that an executor is back soon after the part that it waits for.
    // Without jitter: few executors wait for one server, and the first wait is short.
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(Duration::from_secs(10))
        .without_max_times()
}
