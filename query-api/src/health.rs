//! What operators and probes ask: each store by itself, and whether anything can be answered at all.
//!
//! The service is of use while either the view or the ledger answers, so neither of them alone decides whether it is ready.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ledger::Connection;
use platform::http::health::{self, Checks};
use platform::telemetry::Metrics;
use serde_json::json;
use views::results::ResultsView;

use crate::progress::ProgressView;

/// How long one store may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(1_500);

/// The stores behind the service.
#[derive(Clone, Debug)]
pub(crate) struct Stores {
    pub(crate) connection: Connection,
    pub(crate) results: Arc<dyn ResultsView>,
    pub(crate) progress: Arc<dyn ProgressView>,
}

impl Stores {
    /// Returns the routes.
    pub(crate) fn router<S: Clone + Send + Sync + 'static>(&self, metrics: Metrics) -> Router<S> {
        let (db, queue, any) = (self.clone(), self.clone(), self.clone());
        let submissions = move || {
            let stores = any.clone();
            async move { stores.any().await }
        };
        Router::new()
            .route("/health/db", get(move || async move { db.db().await }))
            .route("/health/queue", get(move || async move { queue.queue().await }))
            .merge(health::router(&Checks::new().with("submissions", submissions), metrics))
    }

    async fn any(&self) -> Result<(), String> {
        let (view, ledger) = tokio::join!(self.postgres(), self.ledger());
        match (view, ledger) {
            (Err(view), Err(ledger)) => Err(format!("{view}; {ledger}")),
            (_, _) => Ok(()),
        }
    }

    async fn db(&self) -> Response {
        let (postgres, mongo) = tokio::join!(self.postgres(), self.mongo());
        shown(&[("postgres", postgres), ("mongo", mongo)])
    }

    async fn queue(&self) -> Response {
        shown(&[("queue", self.ledger().await)])
    }

    async fn postgres(&self) -> Result<(), String> {
        in_time(self.results.ping()).await
    }

    async fn mongo(&self) -> Result<(), String> {
        in_time(self.progress.ping()).await
    }

    async fn ledger(&self) -> Result<(), String> {
        in_time(self.connection.ready()).await
    }
}

async fn in_time<E: Display>(answer: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    match tokio::time::timeout(ANSWER_TIME_MAX, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_late) => Err(format!("no answer within {} ms", ANSWER_TIME_MAX.as_millis())),
    }
}

/// The form of `/health/ready`.
fn shown(checks: &[(&str, Result<(), String>)]) -> Response {
    let well = checks.iter().all(|(_, result)| result.is_ok());
    let each = checks.iter().map(|(name, result)| {
        let shown = match result {
            Ok(()) => json!({"ok": true}),
            Err(detail) => json!({"ok": false, "detail": detail}),
        };
        ((*name).to_owned(), shown)
    });
    let each: serde_json::Map<_, _> = each.collect();
    let (status, word) = if well {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    (status, Json(json!({"status": word, "checks": each}))).into_response()
}
