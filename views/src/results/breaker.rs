//! Remembers that the store does not answer, so that no request waits to find out again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time from one probe to the next one.
// Longer than a probe may take, so that there is one at a time.
const PROBE_INTERVAL: Duration = Duration::from_millis(1_500);

/// Open after a failure, until the store has answered.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker(Mutex<Option<Opened>>);

/// When the next probe is due.
#[derive(Debug)]
struct Opened {
    probe_at: Instant,
}

impl CircuitBreaker {
    /// Tells whether the store did not answer lately.
    pub(super) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Tells one caller in each interval to find out whether the store is back.
    pub(super) fn is_probe_due(&self) -> bool {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let Some(opened) = opened.as_mut().filter(|opened| now >= opened.probe_at) else {
            return false;
        };
        opened.probe_at = now + PROBE_INTERVAL;
        true
    }

    /// Notes that the store did not answer.
    pub(super) fn open(&self) {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first probe goes at once, since the failure may have been a short one. Later failures
        // are of questions that were under way, and bring no probe forward.
        opened.get_or_insert_with(|| Opened { probe_at: Instant::now() });
    }

    /// Notes that the store answered.
    pub(super) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_all_away_and_lets_one_probe_in_each_interval() {
        let breaker = CircuitBreaker::default();
        assert!(!breaker.is_open() && !breaker.is_probe_due());
        breaker.open();
        assert!(breaker.is_open() && breaker.is_probe_due());
        breaker.open();
        assert!(!breaker.is_probe_due(), "one at a time");
        tokio::time::advance(PROBE_INTERVAL).await;
        assert!(breaker.is_probe_due() && !breaker.is_probe_due());
        breaker.close();
        assert!(!breaker.is_open());
    }
}
