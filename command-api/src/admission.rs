//! Whether new submissions are admitted. The outcomes of those that were admitted need room, so
//! admission closes before the stream, or the bucket of outputs, is full.

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

/// `[admission]`: when admission closes, and how often the stores are measured.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionConfig {
    /// The share of used bytes, in percent, of the stream or of the bucket of outputs, from which
    /// on new submissions are refused.
    pub used_percent_max: u8,
    /// How often the share is measured, in milliseconds.
    pub refresh_ms: u32,
}

/// Tells how full the stores are that outcomes need room in.
#[derive(Clone, Debug)]
pub struct StorageGauge {
    /// The stream of events.
    pub ledger: Ledger,
    /// The buckets. Only that of outputs counts: the others hold what comes in before an event.
    pub objects: Arc<dyn ObjectStore>,
}

impl StorageGauge {
    /// Returns the greater share of used bytes, in percent.
    async fn used_percent(&self) -> Result<u64, Fault> {
        let events = self.ledger.usage().await?;
        metrics::stream_usage(&events);
        let outputs = self.objects.usage(ObjectBucket::Outputs).await?;
        Ok(events.percent().max(outputs.percent()))
    }
}

/// Whether new submissions are admitted. It starts closed.
#[derive(Debug, Default)]
pub struct Admission(AtomicU8);

const STARTING: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;

impl Admission {
    /// Admits a new submission, or says why not.
    pub fn admit(&self) -> Result<(), ApiError> {
        // A relaxed load is enough: a submission that passes while admission closes fits into the
        // room that is left.
        match self.0.load(Ordering::Relaxed) {
            OPEN => Ok(()),
            CLOSED => Err(ApiError::Closed),
            _ => Err(ApiError::Starting),
        }
    }

    /// Tells whether the streams have been measured once.
    pub fn has_started(&self) -> bool {
        self.0.load(Ordering::Relaxed) != STARTING
    }

    /// Opens or closes admission by the share of used bytes.
    pub fn refresh(&self, used_percent: u64, used_percent_max: u8) {
        let now = if used_percent >= u64::from(used_percent_max) { CLOSED } else { OPEN };
        let before = self.0.swap(now, Ordering::Relaxed);
        if now == CLOSED && before != CLOSED {
            warn!(
                ledger.used_percent = used_percent,
                "admission closed: the ledger or the bucket of outputs is nearly full"
            );
        } else if now == OPEN && before == CLOSED {
            info!(ledger.used_percent = used_percent, "admission open again");
        }
    }

    /// Measures the stores until the stop.
    pub async fn keep(&self, gauge: &StorageGauge, config: AdmissionConfig, shutdown: &Shutdown) {
        let pause = Duration::from_millis(u64::from(config.refresh_ms));
        let stop = shutdown.token();
        loop {
            let look = async {
                match gauge.used_percent().await {
                    Ok(used_percent) => self.refresh(used_percent, config.used_percent_max),
                    // Admission stays as it is: while NATS does not answer, no submission can be
                    // stored anyway.
                    Err(error) => {
                        let error = error.as_ref() as &dyn std::error::Error;
                        warn!(error, "cannot measure how full the ledger is");
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
    fn admission_is_closed_until_the_stream_was_measured() {
        let admission = Admission::default();
        assert!(matches!(admission.admit(), Err(ApiError::Starting)));
        assert!(!admission.has_started());
        admission.refresh(0, 80);
        admission.admit().unwrap();
        assert!(admission.has_started());
    }

    #[test]
    fn admission_closes_at_its_share_and_opens_below_it() {
        let admission = Admission::default();
        admission.refresh(79, 80);
        admission.admit().unwrap();
        admission.refresh(80, 80);
        assert!(matches!(admission.admit(), Err(ApiError::Closed)));
        admission.refresh(10, 80);
        admission.admit().unwrap();
    }
}
