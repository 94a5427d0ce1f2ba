//! Whether new submissions are admitted. The outcomes of those that were admitted need room, so
//! admission closes before the stream, or the bucket of outputs, is full with what is owed. Each
//! submission needs an executor that has its language, and a principal with room of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{ObjectBucket, SubmissionId, UserId};
use ledger::{Durability, Fault, KnownOffers, LanguageOffer, Ledger, ObjectStore, StorageUsage};
use platform::shutdown::Shutdown;
use serde::Deserialize;
use tracing::{info, warn};

use crate::error::ApiError;
use crate::fair_shares::ShareLimits;
use crate::limited_store::LimitedStore;
use crate::metrics;
use crate::owed_room::{OwedRoom, Owing};
use crate::stored_bytes::StoredBytes;

/// `[admission]`: when admission closes, and how often the stores are measured.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionConfig {
    /// The share of used bytes of a store, in percent, from which on submissions that need it are
    /// refused. What is owed counts as used.
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
    /// How many bytes one principal may have stored.
    pub stored_bytes_of_principal_max: u64,
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

/// Tells how full the stores are.
#[derive(Clone, Debug)]
pub struct StorageGauge {
    /// The stream of events.
    pub ledger: Ledger,
    /// The buckets.
    pub objects: Arc<dyn ObjectStore>,
}

impl StorageGauge {
    async fn measure(&self) -> Result<StoreUsages, Fault> {
        let mut usages = Vec::new();
        for store in LimitedStore::ALL {
            let usage = match store {
                LimitedStore::Ledger => self.ledger.usage().await?,
                LimitedStore::Bucket(bucket) => self.objects.usage(bucket).await?,
            };
            usages.push((store, usage));
        }
        Ok(usages)
    }
}

/// How full the stores are.
pub type StoreUsages = Vec<(LimitedStore, StorageUsage)>;

/// Whether new submissions are admitted. It starts closed.
#[derive(Debug)]
pub struct Admission {
    /// None until the stores were measured.
    usages: Mutex<Option<StoreUsages>>,
    used_percent_max: u64,
    owed: OwedRoom,
    stored: StoredBytes,
    offers: KnownOffers,
    offered_within: Duration,
    durability: Durability,
}

impl Admission {
    /// Is closed until the stores were measured, `offers` were looked at, and what is `owed` is
    /// known; and while `durability` says no.
    pub fn new(
        config: &AdmissionConfig,
        offers: KnownOffers,
        owed: OwedRoom,
        stored: StoredBytes,
        durability: Durability,
    ) -> Self {
        Self {
            usages: Mutex::default(),
            used_percent_max: config.used_percent_max.into(),
            owed,
            stored,
            offers,
            offered_within: Duration::from_secs(config.offered_within_s.into()),
            durability,
        }
    }

    /// Admits a new submission of this principal that needs this language and has so many cases, or
    /// says why not. Its outcome is owed from now on.
    pub fn admit(
        &self,
        id: SubmissionId,
        principal: &UserId,
        needed: LanguageOffer,
        cases: u32,
    ) -> Result<Owing, ApiError> {
        if !self.has_started() {
            return Err(ApiError::Starting);
        }
        // A power failure could take back what a client was told is accepted.
        if self.durability.check().is_err() {
            return Err(ApiError::NotDurable);
        }
        // First, so that requests that come together see each other.
        let owing = self.owed.enter(id, principal, &needed.slug, cases);
        for store in [LimitedStore::Ledger, LimitedStore::Bucket(ObjectBucket::Outputs)] {
            if self.is_full(store) {
                metrics::refused(store.as_str());
                return Err(ApiError::Full(store));
            }
        }
        // Else the outcomes that one principal waits for could close the door for all.
        if owing.owes_too_much(self.unused_bytes()) {
            metrics::refused("owed");
            return Err(ApiError::OwesTooMuch);
        }
        if let Err(wait) = self.stored.check(principal) {
            metrics::refused("principal");
            return Err(ApiError::StoredTooMuch(wait));
        }
        // Without this, a deploy that begins with this service would take in what no executor can
        // run yet.
        if self.offers.last_had(&needed).is_none_or(|age| age > self.offered_within) {
            metrics::not_offered();
            return Err(ApiError::NotOffered(needed));
        }
        Ok(owing)
    }

    /// Tells whether a store has no room for what a new submission would put there.
    pub fn is_full(&self, store: LimitedStore) -> bool {
        let usages = self.usages();
        usages.iter().flatten().any(|(of, usage)| *of == store && self.exceeds(store, usage))
    }

    fn exceeds(&self, store: LimitedStore, usage: &StorageUsage) -> bool {
        let owed = match store {
            LimitedStore::Ledger => self.owed.bytes(),
            // What outcomes would store there can be cut.
            LimitedStore::Bucket(_) => 0,
        };
        usage.bytes.saturating_add(owed) >= self.bytes_for_all(usage)
    }

    /// Returns how many bytes of a store may be used before submissions that need it are refused.
    fn bytes_for_all(&self, usage: &StorageUsage) -> u64 {
        (usage.bytes_max / 100).saturating_mul(self.used_percent_max)
    }

    /// Returns how many bytes of the ledger may be used for what is let in, and are not.
    fn unused_bytes(&self) -> u64 {
        let usages = self.usages();
        let ledger = usages.iter().flatten().find(|(of, _)| *of == LimitedStore::Ledger);
        ledger.map_or(0, |(_, usage)| self.bytes_for_all(usage).saturating_sub(usage.bytes))
    }

    /// Says whether a part of a submission may be stored as an object of this bucket.
    pub async fn may_put(&self, bucket: ObjectBucket) -> Result<(), ApiError> {
        // Sources and tests stay, so nothing is added before it is known what principals have.
        if !self.stored.is_complete_soon().await {
            return Err(ApiError::Starting);
        }
        let store = LimitedStore::Bucket(bucket);
        if self.is_full(store) { Err(ApiError::Full(store)) } else { Ok(()) }
    }

    /// Tells whether everything that admission goes by has been looked at once.
    pub fn has_started(&self) -> bool {
        self.usages().is_some() && self.offers.has_looked() && self.owed.is_known()
    }

    /// Returns what is known of the executors' offers.
    pub fn offers(&self) -> &KnownOffers {
        &self.offers
    }

    /// Returns what is known of the servers' durability.
    pub fn durability(&self) -> &Durability {
        &self.durability
    }

    /// Opens or closes admission by how full the stores are.
    pub fn refresh(&self, usages: StoreUsages) {
        for (store, usage) in &usages {
            let (was_full, is_full) = (self.is_full(*store), self.exceeds(*store, usage));
            let used_percent = usage.percent();
            let store = store.as_str();
            metrics::store_usage(store, usage, is_full);
            if is_full && !was_full {
                warn!(
                    store.name = store,
                    store.used_percent = used_percent,
                    "a store is nearly full"
                );
            } else if was_full && !is_full {
                info!(
                    store.name = store,
                    store.used_percent = used_percent,
                    "a store has room again"
                );
            }
        }
        metrics::owed(self.owed.bytes());
        *self.usages() = Some(usages);
    }

    /// Measures the stores until the stop.
    pub async fn keep(&self, gauge: &StorageGauge, config: AdmissionConfig, shutdown: &Shutdown) {
        let pause = Duration::from_millis(u64::from(config.refresh_ms));
        let stop = shutdown.token();
        loop {
            let look = async {
                match gauge.measure().await {
                    Ok(usages) => self.refresh(usages),
                    // Admission stays as it is: while NATS does not answer, no submission can be
                    // stored anyway.
                    Err(error) => {
                        let error = error.as_ref() as &dyn std::error::Error;
                        warn!(
                            error,
                            "cannot measure how full the stores are; the provisioner makes them"
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

    fn usages(&self) -> MutexGuard<'_, Option<StoreUsages>> {
        self.usages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use events::room::outcome_bytes_max;
    use events::testing::{ManualClock, instant};
    use sandbox::languages::Catalog;
    use uuid::Uuid;

    use super::*;
    use crate::stored_bytes::StoredLimits;

    const WITHIN: Duration = Duration::from_mins(10);
    const LEDGER_BYTES: u64 = 100 * 1024 * 1024;

    fn python() -> LanguageOffer {
        LanguageOffer {
            slug: "python".parse().unwrap(),
            version: "3.11".to_owned(),
            pool: "core".parse().unwrap(),
        }
    }

    fn id(number: u128) -> SubmissionId {
        SubmissionId::new(Uuid::from_u128(number))
    }

    /// How full stores are, of which one is fuller.
    fn filled(fuller: LimitedStore, percent: u64) -> StoreUsages {
        let usage = |store| StorageUsage {
            bytes: if store == fuller { LEDGER_BYTES / 100 * percent } else { 0 },
            bytes_max: LEDGER_BYTES,
            messages: 1,
            first_sequence: 1,
            last_sequence: 1,
        };
        LimitedStore::ALL.map(|store| (store, usage(store))).to_vec()
    }

    struct Given {
        admission: Admission,
        owed: OwedRoom,
        clock: Arc<ManualClock>,
    }

    fn given() -> Given {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let config = AdmissionConfig {
            used_percent_max: 80,
            refresh_ms: 1_000,
            offered_within_s: 600,
            waiting_max: 3,
            waiting_of_principal_max: 300,
            stored_bytes_of_principal_max: 1,
        };
        let owed = OwedRoom::new(&Catalog::builtin());
        let limits = StoredLimits { bytes_max: 1, age: WITHIN };
        let stored = StoredBytes::new(limits, clock.clone());
        let offers = KnownOffers::new(clock.clone());
        let durability = Durability::told();
        let admission = Admission::new(&config, offers, owed.clone(), stored, durability);
        Given { admission, owed, clock }
    }

    impl Given {
        /// Admission that has looked at everything, and at an executor that has Python.
        fn started() -> Self {
            let given = given();
            given.admission.offers().all_is_read(instant(0));
            given.admission.offers().note([python()], instant(0));
            given.owed.all_is_heard();
            given.fill(LimitedStore::Ledger, 0);
            given
        }

        fn fill(&self, store: LimitedStore, percent: u64) {
            self.admission.refresh(filled(store, percent));
        }

        fn admit(&self, number: u128, needed: LanguageOffer) -> Result<Owing, ApiError> {
            self.admit_of("ada", number, needed)
        }

        fn admit_of(
            &self,
            principal: &str,
            number: u128,
            needed: LanguageOffer,
        ) -> Result<Owing, ApiError> {
            self.admission.admit(id(number), &principal.parse().unwrap(), needed, 0)
        }
    }

    #[test]
    fn admission_is_closed_until_everything_was_looked_at() {
        let given = given();
        let starting = || {
            assert!(!given.admission.has_started());
            assert!(matches!(given.admit(1, python()), Err(ApiError::Starting)));
        };
        starting();
        given.fill(LimitedStore::Ledger, 0);
        starting();
        given.admission.offers().all_is_read(instant(0));
        starting();
        given.owed.all_is_heard();
        assert!(given.admission.has_started());
        assert!(matches!(given.admit(1, python()), Err(ApiError::NotOffered(_))));
    }

    #[test]
    fn admission_is_closed_while_the_servers_acknowledge_before_they_sync() {
        let given = Given::started();
        given.admission.durability().say(Some("a server syncs later"));
        assert!(matches!(given.admit(1, python()), Err(ApiError::NotDurable)));
        given.admission.durability().say(None);
        given.admit(1, python()).unwrap();
    }

    #[test]
    fn admission_closes_at_its_share_and_names_what_is_full() {
        let given = Given::started();
        for store in [LimitedStore::Ledger, LimitedStore::Bucket(ObjectBucket::Outputs)] {
            given.fill(store, 79);
            given.admit(1, python()).unwrap();
            given.fill(store, 80);
            let refused = given.admit(1, python());
            assert!(matches!(refused, Err(ApiError::Full(full)) if full == store), "{refused:?}");
            given.fill(store, 10);
            given.admit(1, python()).unwrap();
        }
    }

    #[test]
    fn full_sources_and_tests_close_only_what_needs_them() {
        let given = Given::started();
        for bucket in [ObjectBucket::Sources, ObjectBucket::Tests] {
            given.fill(LimitedStore::Bucket(bucket), 80);
            given.admit(1, python()).unwrap();
            let full = LimitedStore::ALL.into_iter().filter(|it| given.admission.is_full(*it));
            assert_eq!(full.collect::<Vec<_>>(), [LimitedStore::Bucket(bucket)]);
        }
    }

    #[test]
    fn admission_closes_when_what_is_used_and_what_is_owed_reach_the_share() {
        let given = Given::started();
        given.fill(LimitedStore::Ledger, 70);
        let fit = LEDGER_BYTES / 10 / outcome_bytes_max(0, false);
        // Each of another principal, so that none owes too much.
        for number in 0..u128::from(fit) {
            given.admit_of(&format!("user-{number}"), number, python()).unwrap().keep();
        }
        let refused = given.admit(10_000, python());
        assert!(matches!(refused, Err(ApiError::Full(LimitedStore::Ledger))), "{refused:?}");
        // The one that was refused owes nothing, and an end makes room.
        let ended = events::Event::Completed(Box::new(events::testing::completed(1)));
        given.owed.hear(id(0), &ended);
        given.admit(10_001, python()).unwrap();
    }

    #[test]
    fn one_principals_backlog_leaves_the_door_open_for_others() {
        let given = Given::started();
        given.fill(LimitedStore::Ledger, 70);
        let let_in = |principal: &str, first: u128| {
            let admitted = |number| given.admit_of(principal, number, python());
            (first..).map_while(|number| admitted(number).map(Owing::keep).ok()).count() as u64
        };
        let quarter = LEDGER_BYTES / 10 / 4 / outcome_bytes_max(0, false);
        assert_eq!(let_in("ada", 0), quarter);
        let refused = given.admit(1_000, python());
        assert!(matches!(refused, Err(ApiError::OwesTooMuch)), "{refused:?}");
        assert!((1..quarter).contains(&let_in("bob", 2_000)));
        // An end makes room for its principal.
        let ended = events::Event::Completed(Box::new(events::testing::completed(1)));
        for number in 0..u128::from(quarter) {
            given.owed.hear(id(number), &ended);
        }
        given.admit(3_000, python()).unwrap();
    }

    #[test]
    fn a_language_is_admitted_for_as_long_as_an_executor_had_it_a_short_while_ago() {
        let given = Given::started();
        let newer = LanguageOffer { version: "3.12".to_owned(), ..python() };
        assert!(matches!(given.admit(1, newer), Err(ApiError::NotOffered(_))));
        given.clock.advance(WITHIN);
        given.admit(1, python()).unwrap();
        given.clock.advance(Duration::from_secs(1));
        assert!(matches!(given.admit(1, python()), Err(ApiError::NotOffered(_))));
    }
}
