//! Waits between tries: growing, bounded and jittered, so that writers that met once do not meet again.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// The waits of one retried operation.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits that begin around `first` and grow to `max`.
    pub(crate) const fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    /// For conflicts and answers that were lost: from 2 ms to 250 ms.
    pub(crate) const fn quick() -> Self {
        Self::new(Duration::from_millis(2), Duration::from_millis(250))
    }

    /// For servers that are away: from 50 ms to 2 s.
    pub(crate) const fn patient() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(2))
    }

    /// Waits; false when `deadline` came first.
    pub(crate) async fn wait_until(&mut self, deadline: Instant) -> bool {
        let wake = Instant::now() + self.step();
        sleep_until(wake.min(deadline)).await;
        wake < deadline
    }

    /// Waits.
    pub(crate) async fn wait(&mut self) {
        sleep(self.step()).await;
    }

    fn step(&mut self) -> Duration {
        let jittered = self.next.mul_f64(rand::random_range(0.5..1.5));
        self.next = (self.next * 2).min(self.max);
        jittered
    }
}
