//! Whether new submissions are let in. Outcomes of those that are in need room, so the gate closes before the stream, or the
//! bucket of outputs, is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use events::ObjectBucket;
use ledger::{Fault, Ledger, ObjectStore};
use platform::shutdown::Shutdown;
use serde::Deserialize;
use tracing::{info, warn};

use crate::error::ApiError;
use crate::metrics;

/// `[admission]`: when the gate closes, and how often it looks.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionConfig {
    /// From this share of the bytes of the stream, or of the bucket of outputs, on nothing new is let in, in percent.
    pub used_percent_max: u8,
    /// How often the share is looked at, in milliseconds.
    pub refresh_ms: u32,
}

/// Tells how full the stores are that outcomes need room in.
#[derive(Clone, Debug)]
pub struct StorageGauge {
    /// The stream of events.
    pub ledger: Ledger,
    /// The buckets, of which that of outputs counts.
    pub objects: Arc<dyn ObjectStore>,
}

impl StorageGauge {
    /// Returns the greater of both shares that are used, in percent.
    async fn used_percent(&self) -> Result<u64, Fault> {
        let events = self.ledger.usage().await?;
        metrics::stream_usage(&events);
        let outputs = self.objects.usage(ObjectBucket::Outputs).await?;
        Ok(events.percent().max(outputs.percent()))
    }
}

/// The gate; starts shut.
#[derive(Debug, Default)]
pub struct Admission(AtomicU8);

const STARTING: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;

impl Admission {
    /// Lets a new submission in, or says why not.
    pub fn admit(&self) -> Result<(), ApiError> {
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

    /// Sets the gate by how full the stream, or the bucket of outputs, is.
    pub fn refresh(&self, used_percent: u64, used_percent_max: u8) {
        let now = if used_percent >= u64::from(used_percent_max) { CLOSED } else { OPEN };
        let before = self.0.swap(now, Ordering::Relaxed);
        if now == CLOSED && before != CLOSED {
            warn!(ledger.used_percent = used_percent, "admission closed: there is hardly room");
        } else if now == OPEN && before == CLOSED {
            info!(ledger.used_percent = used_percent, "admission open again");
        }
    }

    /// Looks at both until the stop. While NATS does not answer the gate stays as it is: what it would let in cannot be stored
    /// anyway.
    pub async fn keep(&self, gauge: &StorageGauge, config: AdmissionConfig, shutdown: &Shutdown) {
        let pause = Duration::from_millis(u64::from(config.refresh_ms));
        let stop = shutdown.token();
        loop {
            let look = async {
                match gauge.used_percent().await {
                    Ok(used_percent) => self.refresh(used_percent, config.used_percent_max),
                    Err(error) => {
                        let error = error.as_ref() as &dyn std::error::Error;
                        warn!(error, "cannot see how much room there is");
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

    #[test]
    fn the_gate_is_shut_until_the_stream_was_seen() {
        let admission = Admission::default();
        assert!(matches!(admission.admit(), Err(ApiError::Starting)));
        assert!(!admission.has_started());
        admission.refresh(0, 80);
        admission.admit().unwrap();
        assert!(admission.has_started());
    }

    #[test]
    fn the_gate_closes_at_its_share_and_opens_below_it() {
        let admission = Admission::default();
        admission.refresh(79, 80);
        admission.admit().unwrap();
        admission.refresh(80, 80);
        assert!(matches!(admission.admit(), Err(ApiError::Closed)));
        admission.refresh(10, 80);
        admission.admit().unwrap();
    }
}
