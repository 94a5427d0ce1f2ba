//! `TestApp`: the routes over a ledger in memory, views in memory and a clock that stands still.

mod answer;
mod crowded;
mod stale;
mod story;
mod views;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request};
use axum::response::Response;
use events::SubmissionId;
use events::testing::ManualClock;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use ledger::memory::{MemoryObjects, MemoryStore};
use ledger::{EventStore, Ledger};
use platform::auth::{Claims, Verifier, mint};
use platform::config::{AuthConfig, TokenSecret};
use query_api::app::{QueryApi, QueryApiParts};
use query_api::config::LargeOutputsConfig;
use query_api::freshness::{SeenSequences, ViewHistory};
use query_api::long_poll::{Feed, Waiters};
use query_api::routes;
use sandbox::languages::Catalog;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) use self::answer::Answer;
pub(crate) use self::crowded::CrowdedStore;
pub(crate) use self::stale::StaleStore;
pub(crate) use self::story::{Story, accepted, case_result, completed, judged, text, with_cases};
pub(crate) use self::views::{FakeProgress, FakeResults};

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: i64 = 1_800_000_000;
/// How long large outputs are kept: shorter than tokens last.
pub(crate) const OUTPUTS_AGE: Duration = Duration::from_secs(40);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How much memory the outputs of all answers may take.
pub(crate) const OUTPUT_KIB_MAX: u32 = 1_024;
/// How many requests may wait.
const WAITING_MAX: usize = 2_000;

/// The service.
pub(crate) struct TestApp {
    router: Router,
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) results: Arc<FakeResults>,
    pub(crate) progress: Arc<FakeProgress>,
    pub(crate) outputs: Arc<MemoryObjects>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) seen: Arc<SeenSequences>,
    pub(crate) stop: CancellationToken,
    pub(crate) clock: Arc<ManualClock>,
}

impl TestApp {
    /// A service that was started on an empty ledger, and is told of nothing.
    pub(crate) fn new() -> Self {
        let app = Self::starting();
        app.seen.begin_at(0);
        app.seen.note_view(ViewHistory::InLedger);
        app.waiters.set_fed(true);
        app
    }

    /// A service that does not know the end of the ledger yet.
    pub(crate) fn starting() -> Self {
        let clock = clock();
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let ledger = Ledger::new(Arc::<MemoryStore>::clone(&store), clock.clone());
        let (results, outputs) = (Arc::new(FakeResults::default()), Arc::default());
        Self::over(ledger, store, results, outputs, clock)
    }

    /// The same stores behind a process that starts now.
    pub(crate) fn restarted(&self) -> Self {
        self.reading_ledger(self.ledger.clone())
    }

    /// The same stores behind a process that starts now and reads the ledger by another way.
    pub(crate) fn reading(&self, way: Arc<dyn EventStore>) -> Self {
        self.reading_ledger(Ledger::new(way, clock()))
    }

    /// The same views behind a process that starts now and reads a ledger.
    pub(crate) fn reading_ledger(&self, ledger: Ledger) -> Self {
        let (results, outputs) = (Arc::clone(&self.results), Arc::clone(&self.outputs));
        let clock = Arc::clone(&self.clock);
        Self::over(ledger, Arc::clone(&self.store), results, outputs, clock)
    }

    fn over(
        ledger: Ledger,
        store: Arc<MemoryStore>,
        results: Arc<FakeResults>,
        outputs: Arc<MemoryObjects>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let progress = Arc::new(FakeProgress::default());
        let waiters = Arc::new(Waiters::new(NonZeroUsize::new(WAITING_MAX).unwrap()));
        let (seen, stop) = (Arc::new(SeenSequences::default()), CancellationToken::new());
        let memory_kib_max = NonZeroU32::new(OUTPUT_KIB_MAX).unwrap();
        let app = QueryApi::from(QueryApiParts {
            ledger: ledger.clone(),
            results: Arc::<FakeResults>::clone(&results),
            progress: Arc::<FakeProgress>::clone(&progress),
            outputs: Arc::<MemoryObjects>::clone(&outputs),
            outputs_age: OUTPUTS_AGE,
            waiters: Arc::clone(&waiters),
            seen: Arc::clone(&seen),
            large_outputs: LargeOutputsConfig { memory_kib_max },
            verifier: Arc::new(Verifier::new(&auth()).with_clock(clock.clone())),
            catalog: Catalog::builtin(),
            clock: clock.clone(),
            stop: stop.clone(),
        });
        let router = platform::http::middleware(routes::router()).with_state(app);
        Self { router, ledger, store, results, progress, outputs, waiters, seen, stop, clock }
    }

    /// Runs a test beside a feed of the ledger.
    // Boxed: tests make large futures.
    pub(crate) fn fed<'a, T: 'a>(
        &'a self,
        test: impl Future<Output = T> + 'a,
    ) -> LocalBoxFuture<'a, T> {
        let (waiters, seen) = (Arc::clone(&self.waiters), Arc::clone(&self.seen));
        let view = Arc::<FakeResults>::clone(&self.results);
        let feed = Feed::new(self.ledger.clone(), view, waiters, seen);
        let fed = async move {
            tokio::select! {
                tested = test => tested,
                () = feed.run(self.stop.clone()) => panic!("the feed has ended"),
            }
        };
        fed.boxed_local()
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.begin(request).await).await
    }

    /// Sends a request, and does not read the body of the answer.
    pub(crate) async fn begin(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Asks as a user who may submit.
    pub(crate) async fn get_as(&self, user: &str, path: &str) -> Answer {
        self.send(get(path, &bearer(user, "submit"), &[])).await
    }

    /// Asks as ada.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as("ada", path).await
    }

    /// Asks as ada, with further headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(get(path, &bearer("ada", "submit"), headers)).await
    }

    /// Begins a submission of ada's that is in the ledger.
    pub(crate) async fn story(&self) -> Story {
        Story::begin(&self.ledger, accepted("ada")).await
    }

    /// Lets the view catch up with what the ledger says of a submission.
    pub(crate) async fn project(&self, id: SubmissionId) {
        let aggregate = self.ledger.load(id).await.unwrap().unwrap();
        let last = self.ledger.end().await.unwrap();
        self.results.put_at(&aggregate.submission, last);
    }
}

/// A request for a path.
pub(crate) fn get(path: &str, authorization: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request =
        Request::builder().method(Method::GET).uri(path).header(AUTHORIZATION, authorization);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// The path of a submission.
pub(crate) fn path(id: SubmissionId) -> String {
    format!("/v1/submissions/{id}")
}

/// A good token.
pub(crate) fn bearer(user: &str, scope: &str) -> String {
    let now = u64::try_from(NOW).unwrap();
    let (sub, scope) = (user.to_owned(), scope.to_owned());
    let claims =
        Claims { sub, scope, exp: now + 60, iat: now - 60, nbf: None, iss: None, aud: None };
    format!("Bearer {}", mint(&auth().hs256_secret, &claims).unwrap())
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(chrono::DateTime::from_timestamp(NOW, 123_456_789).unwrap()))
}

fn auth() -> AuthConfig {
    let hs256_secret = TokenSecret::try_from(SECRET.to_owned()).unwrap();
    AuthConfig { hs256_secret, issuer: None, audience: None, leeway_seconds: 0 }
}
