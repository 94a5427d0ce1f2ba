//! `TestApp`: the routes over a ledger in memory, views in memory and a clock that stands still.

mod answer;
mod story;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request};
use events::SubmissionId;
use events::testing::ManualClock;
use ledger::Ledger;
use ledger::memory::{MemoryObjects, MemoryStore};
use platform::auth::{Claims, Verifier, mint};
use platform::config::{AuthConfig, TokenSecret};
use query_api::app::{QueryApi, QueryApiParts};
use query_api::long_poll::Waiters;
use query_api::routes;
use sandbox::languages::Catalog;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) use self::answer::Answer;
pub(crate) use self::story::{Story, accepted, case_result, completed, judged, text, with_cases};
pub(crate) use self::views::{FakeProgress, FakeResults};

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: i64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The service.
pub(crate) struct TestApp {
    router: Router,
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) results: Arc<FakeResults>,
    pub(crate) progress: Arc<FakeProgress>,
    pub(crate) outputs: Arc<MemoryObjects>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) stop: CancellationToken,
}

impl TestApp {
    /// A service that knows nothing yet.
    pub(crate) fn new() -> Self {
        let now = chrono::DateTime::from_timestamp(NOW, 123_456_789).unwrap();
        let clock = Arc::new(ManualClock::at(now));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let ledger = Ledger::new(Arc::<MemoryStore>::clone(&store), clock.clone());
        let results = Arc::new(FakeResults::default());
        let progress = Arc::new(FakeProgress::default());
        let outputs = Arc::new(MemoryObjects::default());
        let (waiters, stop) = (Arc::new(Waiters::default()), CancellationToken::new());
        waiters.set_fed(true);
        let app = QueryApi::from(QueryApiParts {
            ledger: ledger.clone(),
            results: Arc::<FakeResults>::clone(&results),
            progress: Arc::<FakeProgress>::clone(&progress),
            outputs: Arc::<MemoryObjects>::clone(&outputs),
            waiters: Arc::clone(&waiters),
            verifier: Arc::new(Verifier::new(&auth()).with_clock(clock.clone())),
            catalog: Catalog::builtin(),
            clock,
            stop: stop.clone(),
        });
        let router = platform::http::middleware(routes::router()).with_state(app);
        Self { router, ledger, store, results, progress, outputs, waiters, stop }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
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
        let position = self.ledger.last_sequence().await.unwrap();
        self.results.put(&aggregate.submission, position);
        self.waiters.wake(id);
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

fn auth() -> AuthConfig {
    let hs256_secret = TokenSecret::try_from(SECRET.to_owned()).unwrap();
    AuthConfig { hs256_secret, issuer: None, audience: None, leeway_seconds: 0 }
}
