//! Waits for a condition, for a limited time.

use std::time::{Duration, Instant};

use anyhow::Result;

/// How often a condition is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `probe` says yes, or fails with what it says last.
pub async fn wait_until<F, T>(what: &str, patience: Duration, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<T>,
{
    let deadline = Instant::now() + patience;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("{what}: not within {patience:?}")));
            }
            Err(_not_yet) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
