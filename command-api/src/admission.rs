//! Whether new submissions are let in. Outcomes of those that are in need room, so the gate closes before the stream is full.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use ledger::{Ledger, Usage};
use platform::shutdown::Shutdown;
use serde::Deserialize;
use tracing::{info, warn};

use crate::error::ApiError;
use crate::metrics;

/// `[admission]`: when the gate closes, and how often it looks.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionConfig {
    /// From this share of the stream's bytes on nothing new is let in, in percent.
    pub used_percent_max: u8,
    /// How often the share is looked at, in milliseconds.
    pub refresh_ms: u32,
}

/// The gate; starts shut.
#[derive(Debug, Default)]
pub struct Admission(AtomicU8);

const STARTING: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;

impl Admission {
    /// Lets a new submission in, or says why not.
    pub fn check(&self) -> Result<(), ApiError> {
        match self.0.load(Ordering::Relaxed) {
            OPEN => Ok(()),
            CLOSED => Err(ApiError::Closed),
            _ => Err(ApiError::Starting),
        }
    }

    /// Tells whether the streams have been seen.
    pub fn has_started(&self) -> bool {
        self.0.load(Ordering::Relaxed) != STARTING
    }

    /// Sets the gate by how full the stream is.
    pub fn refresh(&self, usage: &Usage, used_percent_max: u8) {
        let now = if usage.percent() >= u64::from(used_percent_max) { CLOSED } else { OPEN };
        let before = self.0.swap(now, Ordering::Relaxed);
        metrics::stream_usage(usage);
        if now == CLOSED && before != CLOSED {
            warn!(
                ledger.used_percent = usage.percent(),
                "admission closed: the stream is nearly full"
            );
        } else if now == OPEN && before == CLOSED {
            info!(ledger.used_percent = usage.percent(), "admission open again");
        }
    }

    /// Looks at the stream until the stop. While the ledger does not answer the gate stays as it is: what it would let
    /// in cannot be stored anyway.
    pub async fn keep(&self, ledger: &Ledger, config: AdmissionConfig, shutdown: &Shutdown) {
        let pause = Duration::from_millis(u64::from(config.refresh_ms));
        let stop = shutdown.token();
        loop {
            let look = async {
                match ledger.usage().await {
                    Ok(usage) => self.refresh(&usage, config.used_percent_max),
                    Err(error) => {
                        warn!(
                            error = &error as &dyn std::error::Error,
                            "cannot see how full the stream is"
                        );
                    }
                }
                tokio::time::sleep(pause).await;
            };
            if stop.run_until_cancelled(look).await.is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(bytes: u64) -> Usage {
        Usage { bytes, bytes_max: 1_000, messages: 1, first_sequence: 1, last_sequence: 1 }
    }

    #[test]
    fn the_gate_is_shut_until_the_stream_was_seen() {
        let admission = Admission::default();
        assert!(matches!(admission.check(), Err(ApiError::Starting)));
        assert!(!admission.has_started());
        admission.refresh(&used(0), 80);
        admission.check().unwrap();
        assert!(admission.has_started());
    }

    #[test]
    fn the_gate_closes_at_its_share_and_opens_below_it() {
        let admission = Admission::default();
        admission.refresh(&used(799), 80);
        admission.check().unwrap();
        admission.refresh(&used(800), 80);
        assert!(matches!(admission.check(), Err(ApiError::Closed)));
        admission.refresh(&used(100), 80);
        admission.check().unwrap();
    }
}
