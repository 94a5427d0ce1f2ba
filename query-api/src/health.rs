//! What operators and probes ask: each store by itself, and whether anything can be answered at
//! all.
//!
//! The service is of use while either the view or the ledger answers, so neither of them alone
//! decides whether it is ready.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::future::BoxFuture;
use ledger::Connection;
use platform::http::health::{self, HealthChecks};
use platform::telemetry::{Metrics, error_chain};
use views::progress::ProgressView;
use views::results::ResultsView;

/// How long one store may take to answer.
// Less than a whole check may take, so that one silent store does not fail the check of both.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(1_500);

/// The stores behind the service.
#[derive(Clone, Debug)]
pub(crate) struct ReadStores {
    pub(crate) connection: Connection,
    pub(crate) results: Arc<dyn ResultsView>,
    pub(crate) progress: Arc<dyn ProgressView>,
}

impl ReadStores {
    /// Returns the routes.
    pub(crate) fn router<S: Clone + Send + Sync + 'static>(&self, metrics: Metrics) -> Router<S> {
        let check = |ask: fn(Self) -> BoxFuture<'static, Result<(), String>>| {
            let stores = self.clone();
            move || ask(stores.clone())
        };
        let either = check(|stores| Box::pin(async move { stores.either().await }));
        let postgres = check(|stores| Box::pin(async move { stores.postgres().await }));
        let mongo = check(|stores| Box::pin(async move { stores.mongo().await }));
        let queue = check(|stores| Box::pin(async move { stores.ledger().await }));
        // The pages of single stores do not count for readiness: a balancer would take out a
        // service that can still answer. MongoDB is only behind the progress of users.
        health::router(&HealthChecks::new().with("submissions", either), metrics)
            .merge(health::page(
                "db",
                HealthChecks::new().with("postgres", postgres).with("mongo", mongo),
            ))
            .merge(health::page("queue", HealthChecks::new().with("queue", queue)))
    }

    /// Tells whether submissions can be read from the view or from the ledger.
    async fn either(&self) -> Result<(), String> {
        let (view, ledger) = tokio::join!(self.postgres(), self.ledger());
        match (view, ledger) {
            (Err(view), Err(ledger)) => Err(format!("{view}; {ledger}")),
            (_, _) => Ok(()),
        }
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

async fn in_time<E: Error>(answer: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    match tokio::time::timeout(ANSWER_TIME_MAX, answer).await {
        Ok(answer) => answer.map_err(|error| error_chain(&error)),
        Err(_late) => Err(format!("no answer within {} ms", ANSWER_TIME_MAX.as_millis())),
    }
}
