//! What operators and probes ask: both stores, the ledger, and the projections themselves.

use std::time::Duration;

use axum::Router;
use platform::http::health::{self, HealthChecks};
use platform::telemetry::{Metrics, error_chain};
use tokio::time::timeout;
use views::error::WriteError;
use views::generation::ViewStore as _;

use crate::connections::Connections;
use crate::results::ResultsProjection;
use crate::status::Status;

/// How long counting foreign messages may take. A whole check has two seconds.
const COUNT_TIME_MAX: Duration = Duration::from_millis(500);

/// Returns the routes.
pub(crate) fn router(connections: &Connections, statuses: &[Status], recorder: Metrics) -> Router {
    let (stores, queue) = (connections.clone(), connections.connection.clone());
    let (statuses, results) = (statuses.to_vec(), connections.results.clone());
    let checks = HealthChecks::new()
        .with("db", move || databases(stores.clone()))
        .with("queue", move || {
            let queue = queue.clone();
            async move { queue.ready().await.map_err(|error| error_chain(&error)) }
        })
        .telling("projections", move || projections(statuses.clone(), results.clone()));
    platform::http::middleware(health::router(&checks, recorder))
}

/// Says how the projections are, and how many messages of the ledger they have passed by.
async fn projections(
    statuses: Vec<Status>,
    results: ResultsProjection,
) -> Result<Option<String>, String> {
    let faults = statuses.iter().filter_map(|status| status.check().err());
    no_faults(&faults.collect::<Vec<_>>())?;
    // Whether the store answers is another check's question, and must not be this one's answer.
    let counted = timeout(COUNT_TIME_MAX, results.writer().count_quarantined()).await;
    let count = counted.ok().and_then(Result::ok).unwrap_or(0);
    let told = || format!("foreign messages in the ledger: {count} (docs/alarms/foreign-bytes.md)");
    Ok((count > 0).then(told))
}

async fn databases(connections: Connections) -> Result<(), String> {
    let (results, progress) = (connections.results.writer(), connections.progress.writer());
    // At the same time: the check has one deadline, and a silent PostgreSQL would use up what
    // MongoDB needs to answer.
    let (results, progress) = tokio::join!(results.ping(), progress.ping());
    let fault = |name: &str, answer: Result<(), WriteError>| {
        answer.err().map(|error| format!("{name}: {}", error_chain(&error)))
    };
    let faults = [fault("postgres", results), fault("mongodb", progress)];
    no_faults(&faults.into_iter().flatten().collect::<Vec<_>>())
}

fn no_faults(faults: &[String]) -> Result<(), String> {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
