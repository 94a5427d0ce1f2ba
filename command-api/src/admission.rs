//! Whether new submissions are admitted. The outcomes of those that were admitted need room, so
//! admission closes before the stream, or the bucket of outputs, is full. And each needs an
//! executor that has its language.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use events::ObjectBucket;
use ledger::{Fault, KnownOffers, LanguageOffer, Ledger, ObjectStore};
use platform::shutdown::Shutdown;
use serde::Deserialize;
use tracing::{info, warn};

use crate::error::ApiError;
use crate::fair_shares::ShareLimits;
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
    /// How long ago an executor may have said for the last time that it has a submission's language
    /// at its version, in seconds.
    pub offered_within_s: u32,
    /// How many submissions of one person may wait in one lane of a pool before the next one is
    /// surplus.
    pub waiting_max: u32,
    /// How many of one principal, whatever end users it names.
    pub waiting_of_principal_max: u32,
}

impl AdmissionConfig {
    /// Returns how many submissions wait in a normal queue.
    pub fn share_limits(&self) -> ShareLimits {
        ShareLimits {
            of_person_max: self.waiting_max as usize,
            of_principal_max: self.waiting_of_principal_max as usize,
        }
    }
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
#[derive(Debug)]
pub struct Admission {
    room: AtomicU8,
    offers: KnownOffers,
    offered_within: Duration,
}

const STARTING: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;

impl Admission {
    /// Is closed until the stores were measured and `offers` were looked at. After that, a language
    /// is admitted if an executor had it within this time.
    pub const fn new(offers: KnownOffers, offered_within: Duration) -> Self {
        Self { room: AtomicU8::new(STARTING), offers, offered_within }
    }

    /// Admits a new submission that needs this language, or says why not.
    pub fn admit(&self, needed: LanguageOffer) -> Result<(), ApiError> {
        if !self.has_started() {
            return Err(ApiError::Starting);
        }
        // A relaxed load is enough: a submission that passes while admission closes fits into the
        // room that is left.
        if self.room.load(Ordering::Relaxed) == CLOSED {
            return Err(ApiError::Closed);
        }
        // Without this, a deploy that begins with this service would take in what no executor can
        // run yet.
        if self.offers.last_had(&needed).is_none_or(|age| age > self.offered_within) {
            metrics::not_offered();
            return Err(ApiError::NotOffered(needed));
        }
        Ok(())
    }

    /// Tells whether the stores have been measured, and the executors' offers read, once.
    pub fn has_started(&self) -> bool {
        self.room.load(Ordering::Relaxed) != STARTING && self.offers.has_looked()
    }

    /// Returns what is known of the executors' offers.
    pub fn offers(&self) -> &KnownOffers {
        &self.offers
    }

    /// Opens or closes admission by the share of used bytes.
    pub fn refresh(&self, used_percent: u64, used_percent_max: u8) {
        let now = if used_percent >= u64::from(used_percent_max) { CLOSED } else { OPEN };
        let before = self.room.swap(now, Ordering::Relaxed);
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
    use events::testing::{ManualClock, instant};

    use super::*;

    const WITHIN: Duration = Duration::from_mins(10);

    fn python() -> LanguageOffer {
        LanguageOffer {
            slug: "python".parse().unwrap(),
            version: "3.11".to_owned(),
            pool: "core".parse().unwrap(),
        }
    }

    fn given() -> (Admission, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(instant(0)));
        (Admission::new(KnownOffers::new(clock.clone()), WITHIN), clock)
    }

    /// Admission that has looked at everything, and at an executor that has Python.
    fn started() -> (Admission, Arc<ManualClock>) {
        let (admission, clock) = given();
        admission.offers().all_is_read(instant(0));
        admission.offers().note([python()], instant(0));
        admission.refresh(0, 80);
        (admission, clock)
    }

    #[test]
    fn admission_is_closed_until_the_stores_and_the_offers_were_looked_at() {
        let (admission, _clock) = given();
        assert!(matches!(admission.admit(python()), Err(ApiError::Starting)));
        admission.refresh(0, 80);
        assert!(matches!(admission.admit(python()), Err(ApiError::Starting)));
        assert!(!admission.has_started());
        admission.offers().all_is_read(instant(0));
        assert!(admission.has_started());
        assert!(matches!(admission.admit(python()), Err(ApiError::NotOffered(_))));
    }

    #[test]
    fn admission_closes_at_its_share_and_opens_below_it() {
        let (admission, _clock) = started();
        admission.refresh(79, 80);
        admission.admit(python()).unwrap();
        admission.refresh(80, 80);
        assert!(matches!(admission.admit(python()), Err(ApiError::Closed)));
        admission.refresh(10, 80);
        admission.admit(python()).unwrap();
    }

    #[test]
    fn a_language_is_admitted_for_as_long_as_an_executor_had_it_a_short_while_ago() {
        let (admission, clock) = started();
        let newer = LanguageOffer { version: "3.12".to_owned(), ..python() };
        assert!(matches!(admission.admit(newer), Err(ApiError::NotOffered(_))));
        clock.advance(WITHIN);
        admission.admit(python()).unwrap();
        clock.advance(Duration::from_secs(1));
        assert!(matches!(admission.admit(python()), Err(ApiError::NotOffered(_))));
    }
}
