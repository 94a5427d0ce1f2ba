//! How often a request is repeated, and how long the client waits before each try.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;

use crate::error::ClientError;

/// The wait before the first retry; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest wait that the client chooses by itself.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// The longest `Retry-After` that is obeyed: a wrong one must not stop the caller for hours.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

type Notify = dyn Fn(&ClientError, Duration) + Send + Sync;

/// How many retries a client makes, and whom it tells before each.
#[derive(Clone)]
pub(crate) struct Retries {
    pub(crate) max: u32,
    pub(crate) notify: Arc<Notify>,
}

/// A try that failed.
#[derive(Debug)]
pub(crate) struct FailedTry {
    pub(crate) error: ClientError,
    pub(crate) may_help_again: bool,
    /// What the server asks for in `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl Default for Retries {
    fn default() -> Self {
        // A caller that did not ask for retries, such as a test, sees every failure.
        Self { max: 0, notify: Arc::new(|_, _| {}) }
    }
}

impl fmt::Debug for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retries").field("max", &self.max).finish_non_exhaustive()
    }
}

impl Retries {
    /// Returns the waits of one request.
    pub(crate) fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(DELAY_MAX)
            .with_factor(2.0)
            .with_max_times(self.max as usize)
    }
}

impl FailedTry {
    /// Returns a failure that another try would repeat.
    pub(crate) fn for_good(error: ClientError) -> Self {
        Self { error, may_help_again: false, retry_after: None }
    }

    /// Returns a failure that another try may avoid.
    pub(crate) fn for_now(error: ClientError, retry_after: Option<Duration>) -> Self {
        Self { error, may_help_again: true, retry_after }
    }

    /// Returns the wait before the next try: what the server asks for, or our own.
    pub(crate) fn wait(&self, own: Duration) -> Duration {
        self.retry_after.map_or(own, |asked| asked.min(RETRY_AFTER_MAX))
    }
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder as _;

    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let retries = Retries { max: 7, ..Retries::default() };
        let waits: Vec<u128> = retries.backoff().build().map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(Retries::default().backoff().build().next(), None);
    }

    #[test]
    fn the_servers_wish_comes_first_within_reason() {
        let own = Duration::from_millis(200);
        let asked = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            FailedTry::for_now(ClientError::Token, retry_after).wait(own)
        };
        assert_eq!(asked(1), Duration::from_secs(1));
        assert_eq!(asked(0), Duration::ZERO);
        assert_eq!(asked(86_400), RETRY_AFTER_MAX);
        assert_eq!(FailedTry::for_now(ClientError::Token, None).wait(own), own);
    }
}
