//! Waiting for what comes back by itself: longer each time, up to a bound.

use std::time::Duration;

use tokio::time::sleep;

/// The first and the longest wait.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Waits longer each time.
#[derive(Debug)]
pub(crate) struct Patience {
    wait: Duration,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { wait: WAIT.0 }
    }

    pub(crate) async fn wait(&mut self) {
        sleep(self.wait).await;
        self.wait = (self.wait * 2).min(WAIT.1);
    }
}
