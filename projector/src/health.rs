//! What operators and probes ask: both stores, the ledger, and the projections themselves.

use axum::Router;
use platform::http::health::{self, HealthChecks};
use platform::telemetry::{Metrics, error_chain};
use views::error::WriteError;
use views::generation::ViewStore as _;

use crate::connections::Connections;
use crate::status::Status;

/// Returns the routes.
pub(crate) fn router(connections: &Connections, statuses: &[Status], recorder: Metrics) -> Router {
    let (stores, queue) = (connections.clone(), connections.connection.clone());
    let statuses = statuses.to_vec();
    let checks = HealthChecks::new()
        .with("db", move || databases(stores.clone()))
        .with("queue", move || {
            let queue = queue.clone();
            async move { queue.ready().await.map_err(|error| error_chain(&error)) }
        })
        .with("projections", move || {
            let faults = statuses.iter().filter_map(|status| status.check().err());
            std::future::ready(no_faults(&faults.collect::<Vec<_>>()))
        });
    platform::http::middleware(health::router(&checks, recorder))
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
