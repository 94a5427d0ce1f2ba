//! `TestApp`: the whole router over a store in memory, objects in memory and a clock that stands
//! still.

mod announcer;
mod answer;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request, request};
use command_api::admission::{Admission, AdmissionConfig};
use command_api::app::{App, Parts};
use command_api::config::TotalTimeConfig;
use command_api::fair_shares::FairShares;
use command_api::limited_store::LimitedStore;
use command_api::owed_room::OwedRoom;
use command_api::service::router;
use command_api::stored_bytes::{StoredBytes, StoredLimits};
use events::testing::{ManualClock, SeededIds};
use events::{BootId, Clock, LimitPolicy, SubmissionId};
use ledger::memory::{MemoryObjects, MemoryStore, Mishap};
use ledger::{Aggregate, Durability, KnownOffers, LanguageOffer, Ledger, StorageUsage};
use platform::auth::{Claims, Verifier, mint};
use platform::config::{AuthConfig, TokenSecret};
use platform::http::health::HealthChecks;
use platform::telemetry::Metrics;
use sandbox::languages::{Catalog, Language};
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) use self::announcer::FakeAnnouncer;
pub(crate) use self::answer::Answer;

/// 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Small, so that tests of the limit are.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;

pub(crate) const TOTAL_TIME_MS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();
/// How long ago an executor may have had a language.
pub(crate) const OFFERED_WITHIN: Duration = Duration::from_mins(10);
/// What one principal may have in the buckets, in bytes.
pub(crate) const STORED_BYTES_MAX: u64 = 1024 * 1024;
/// What each store may hold, in bytes.
const STORE_BYTES_MAX: u64 = 1000 * 1024 * 1024;
const ADMISSION: AdmissionConfig = AdmissionConfig {
    used_percent_max: 80,
    refresh_ms: 1_000,
    offered_within_s: 600,
    waiting_max: 3,
    waiting_of_principal_max: 300,
    stored_bytes_of_principal_max: STORED_BYTES_MAX,
};

/// The service.
pub(crate) struct TestApp {
    router: Router,
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) announcer: Arc<FakeAnnouncer>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) offers_clock: Arc<ManualClock>,
    /// The ledger's clock.
    pub(crate) store_clock: Arc<ManualClock>,
    pub(crate) owed: OwedRoom,
    pub(crate) stored: StoredBytes,
}

impl TestApp {
    /// A service that lets everything in.
    pub(crate) fn new() -> Self {
        Self::build(&[])
    }

    /// A service whose ledger has these mishaps, in this order.
    pub(crate) fn with_mishaps(mishaps: &[Mishap]) -> Self {
        Self::build(mishaps)
    }

    fn build(mishaps: &[Mishap]) -> Self {
        let now = chrono::DateTime::from_timestamp(NOW, 0).unwrap();
        let clock = Arc::new(ManualClock::at(now));
        // Another one, since tokens do not last as long as offers.
        let offers_clock = Arc::new(ManualClock::at(now));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        store.arrange(mishaps.iter().copied());
        let ledger = Ledger::new(Arc::<MemoryStore>::clone(&store), clock.clone())
            .with_deadline(Duration::from_secs(2));
        let objects = Arc::new(MemoryObjects::default());
        let announcer = Arc::new(FakeAnnouncer::default());
        let owed = OwedRoom::new(&Catalog::builtin());
        owed.all_is_heard();
        let limits = StoredLimits { bytes_max: STORED_BYTES_MAX, age: OFFERED_WITHIN };
        let stored = StoredBytes::new(limits, clock.clone());
        stored.all_is_heard();
        let offers = KnownOffers::new(offers_clock.clone());
        let durability = Durability::told();
        let admission =
            Admission::new(&ADMISSION, offers, owed.clone(), stored.clone(), durability);
        let admission = Arc::new(admission);
        let shares = FairShares::new(ADMISSION.share_limits());
        shares.set_fed(true);
        let app = App::from(Parts {
            ledger: ledger.clone(),
            objects: Arc::<MemoryObjects>::clone(&objects),
            announcer: Arc::<FakeAnnouncer>::clone(&announcer),
            admission: Arc::clone(&admission),
            verifier: Arc::new(Verifier::new(&auth()).with_clock(clock.clone())),
            catalog: Catalog::builtin(),
            policy: LimitPolicy::default(),
            shares,
            total_time: TotalTimeConfig { run_ms: TOTAL_TIME_MS, submit_ms: TOTAL_TIME_MS },
            ids: Arc::new(SeededIds::new(7)),
            instance: BootId::new(uuid::Uuid::from_u128(1)),
        });
        let (_recorder, metrics) = Metrics::local().unwrap();
        let router = router(app, BODY_BYTES_MAX, &HealthChecks::new(), metrics);
        let test = Self {
            router,
            ledger,
            store,
            objects,
            announcer,
            admission,
            offers_clock,
            store_clock: clock,
            owed,
            stored,
        };
        test.fill(LimitedStore::Ledger, 0);
        test.admission.offers().all_is_read(now);
        test.offer_languages();
        test
    }

    /// Lets an executor have every language.
    pub(crate) fn offer_languages(&self) {
        self.admission.offers().note(every_language(), self.offers_clock.now());
    }

    /// Lets the gate see a store that is so full, and the others empty.
    pub(crate) fn fill(&self, store: LimitedStore, percent: u64) {
        let usage = |of| StorageUsage {
            bytes: if of == store { STORE_BYTES_MAX / 100 * percent } else { 0 },
            bytes_max: STORE_BYTES_MAX,
            messages: 1,
            first_sequence: 1,
            last_sequence: 1,
        };
        self.admission.refresh(LimitedStore::ALL.map(|of| (of, usage(of))).to_vec());
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// Posts JSON as a user with the scope `submit`.
    pub(crate) async fn post(&self, user: &str, path: &str, body: &Value) -> Answer {
        self.send(post(path, user).body(body.to_string().into()).unwrap()).await
    }

    /// Submits as ada.
    pub(crate) async fn submit(&self, body: &Value) -> Answer {
        self.post("ada", "/v1/submissions", body).await
    }

    /// Submits as a user under a key.
    pub(crate) async fn submit_under(&self, user: &str, key: &str, body: &Value) -> Answer {
        let request = post("/v1/submissions", user).header("idempotency-key", key);
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    /// Posts without a body.
    pub(crate) async fn cancel(&self, user: &str, id: &str) -> Answer {
        let request = Request::post(format!("/v1/submissions/{id}/cancel"));
        let request = request.header(AUTHORIZATION, bearer(user, "submit"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Reads a submission back from the ledger.
    pub(crate) async fn stored(&self, id: &str) -> Aggregate {
        self.ledger.load(id.parse::<SubmissionId>().unwrap()).await.unwrap().unwrap()
    }

    /// Counts the events in the ledger.
    pub(crate) async fn event_count(&self) -> u64 {
        self.ledger.usage().await.unwrap().messages
    }
}

/// What an executor with the built-in table has.
pub(crate) fn every_language() -> Vec<LanguageOffer> {
    let offer = |language: &Language| LanguageOffer {
        slug: language.slug.parse().unwrap(),
        version: language.version.clone(),
        pool: language.pool.parse().unwrap(),
    };
    Catalog::builtin().languages().iter().map(offer).collect()
}

/// Begins a request with a JSON body as a user with the scope `submit`.
pub(crate) fn post(path: &str, user: &str) -> request::Builder {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(AUTHORIZATION, bearer(user, "submit"))
        .header(CONTENT_TYPE, "application/json")
}

/// A good token.
pub(crate) fn bearer(user: &str, scope: &str) -> String {
    token(user, scope, NOW + 60)
}

/// A token that ends at some time.
pub(crate) fn token(user: &str, scope: &str, expires: i64) -> String {
    let seconds = |time: i64| u64::try_from(time).unwrap();
    let claims = Claims {
        sub: user.to_owned(),
        scope: scope.to_owned(),
        exp: seconds(expires),
        iat: seconds(NOW - 60),
        nbf: None,
        iss: None,
        aud: None,
    };
    format!("Bearer {}", mint(&auth().hs256_secret, &claims).unwrap())
}

fn auth() -> AuthConfig {
    let hs256_secret = TokenSecret::try_from(SECRET.to_owned()).unwrap();
    AuthConfig { hs256_secret, issuer: None, audience: None, leeway_seconds: 0 }
}

/// The least submission.
pub(crate) fn hello() -> Value {
    json!({"language": "python", "source": "print('hi')"})
}
