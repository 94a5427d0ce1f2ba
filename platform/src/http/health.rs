//! The routes that operators and probes ask: `/health/live`, `/health/ready`, one per check, and
//! `/metrics`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::{BoxFuture, join_all};
use serde_json::{Map, Value, json};

use crate::telemetry::Metrics;

/// How long one check may take.
pub const CHECK_TIME_MAX: Duration = Duration::from_secs(2);

/// What a check has found: well, perhaps with something to tell, or why it does not work.
type Finding = Result<Option<String>, String>;
/// One thing that a service cannot work without.
type Check = Arc<dyn Fn() -> BoxFuture<'static, Finding> + Send + Sync>;

/// The checks of a service, by name.
#[derive(Clone, Default)]
pub struct HealthChecks(Vec<(&'static str, Check)>);

impl fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl HealthChecks {
    /// Makes a list without checks: a service that is ready as soon as it answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, asked under `/health/<name>` and with all others under `/health/ready`. Its
    /// error goes to the client.
    #[must_use]
    pub fn with<F, T>(self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.telling(name, move || {
            let found = check();
            async move { found.await.map(|()| None) }
        })
    }

    /// Adds a check that may have something to tell although all is well.
    #[must_use]
    pub fn telling<F, T>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<Option<String>, String>> + Send + 'static,
    {
        self.0.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// Runs every check, each within [`CHECK_TIME_MAX`].
    async fn run(&self) -> Response {
        // At the same time, so that one silent server does not delay the news of the others.
        let results = join_all(self.0.iter().map(|(name, check)| run(name, check))).await;
        let well = results.iter().all(|(_, result)| result.is_ok());
        let checks: Map<String, Value> =
            results.into_iter().map(|(name, result)| (name.to_owned(), shown(result))).collect();
        let (status, word) = if well {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        };
        (status, axum::Json(json!({"status": word, "checks": checks}))).into_response()
    }
}

async fn run(name: &'static str, check: &Check) -> (&'static str, Finding) {
    let late = || Err(format!("no answer within {} ms", CHECK_TIME_MAX.as_millis()));
    (name, tokio::time::timeout(CHECK_TIME_MAX, check()).await.unwrap_or_else(|_| late()))
}

fn shown(finding: Finding) -> Value {
    match finding {
        Ok(None) => json!({"ok": true}),
        Ok(Some(detail)) => json!({"ok": true, "detail": detail}),
        Err(detail) => json!({"ok": false, "detail": detail}),
    }
}

/// Returns the routes of a service's health and metrics, to be merged into its router before the
/// middleware.
pub fn router<S: Clone + Send + Sync + 'static>(
    checks: &HealthChecks,
    metrics: Metrics,
) -> Router<S> {
    let live = || async { axum::Json(json!({"status": "ok"})) };
    let all = checks.clone();
    let router = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(move || async move { all.run().await }))
        .route("/metrics", get(move || async move { exposition(&metrics) }));
    checks.0.iter().fold(router, |router, (name, check)| {
        router.merge(page(name, HealthChecks(vec![(name, check.clone())])))
    })
}

/// Returns the route `/health/<name>` for some checks, which do not count for `/health/ready`.
pub fn page<S: Clone + Send + Sync + 'static>(name: &str, checks: HealthChecks) -> Router<S> {
    Router::new().route(&format!("/health/{name}"), get(move || async move { checks.run().await }))
}

fn exposition(metrics: &Metrics) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}
