//! Remembers for a moment that the store does not answer, so that not every request waits to find
//! out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For so long after a failure no caller tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Open after a failure, until the pause is over.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker(Mutex<Option<Instant>>);

impl CircuitBreaker {
    /// Tells whether the caller may try. After a failure one caller in each pause may.
    pub(super) fn may_try(&self) -> bool {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let may = opened.is_none_or(|at| at.elapsed() >= PAUSE);
        // This caller tries for all; the pause begins again for the others.
        if may && opened.is_some() {
            *opened = Some(Instant::now());
        }
        may
    }

    /// Notes that the store did not answer.
    pub(super) fn open(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
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
    async fn a_failure_keeps_all_but_one_away_for_the_pause() {
        let breaker = CircuitBreaker::default();
        assert!(breaker.may_try() && breaker.may_try());
        breaker.open();
        assert!(!breaker.may_try());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.may_try());
        assert!(!breaker.may_try(), "one at a time");
        breaker.close();
        assert!(breaker.may_try() && breaker.may_try());
    }
}
