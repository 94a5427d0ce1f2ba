//! The service from start to stop: connects, listens for changes, serves, and ends when told.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ledger::{Connection, Ledger, NatsLogin};
use platform::auth::Verifier;
use platform::clock::SystemClock;
use platform::config::ExposeSecret;
use platform::service::{ServiceError, ServiceRuntime};
use platform::telemetry::Metrics;
use sandbox::languages::Catalog;
use views::progress::ProgressReader;
use views::results::ResultsReader;

use crate::app::{QueryApi, QueryApiParts};
use crate::config::Config;
use crate::freshness::SeenSequences;
use crate::health::ReadStores;
use crate::long_poll::{Feed, Waiters};
use crate::{metrics, routes};

/// How long tasks may take to end after the last answer.
const FINISH_TIME_MAX: Duration = Duration::from_secs(5);

/// Runs the service until it is told to stop.
pub async fn run(config: Config) -> Result<(), ServiceError> {
    let service = ServiceRuntime::start(&config.log, config.http.listen).await?;
    metrics::describe();
    ledger::describe_metrics();
    let catalog = Catalog::load(&config.languages);
    let catalog = catalog.map_err(ServiceError::part("there are no languages"))?;
    let stores = open(&config).await?;
    let waiters = Arc::new(Waiters::new(config.long_poll.waiting_max));
    let seen = Arc::new(SeenSequences::default());
    let view = Arc::clone(&stores.results);
    let feed = Feed::new(ledger(&stores), view, Arc::clone(&waiters), Arc::clone(&seen));
    // Vital: after its end the waiters would go on trusting a feed that no longer wakes them.
    service.shutdown.spawn_vital("feed", feed.run(service.shutdown.token()));
    let app = QueryApi::from(QueryApiParts {
        ledger: ledger(&stores),
        results: Arc::clone(&stores.results),
        progress: Arc::clone(&stores.progress),
        outputs: stores.connection.objects(),
        outputs_age: config.outputs.age(),
        waiters,
        seen,
        large_outputs: config.large_outputs,
        verifier: Arc::new(Verifier::new(&config.auth)),
        catalog,
        clock: Arc::new(SystemClock),
        stop: service.shutdown.token(),
    });
    let router = router(app, &stores, service.metrics.clone());
    let served = service.serve(router, FINISH_TIME_MAX).await;
    // Last, since the answers that are still being made read through this connection.
    stores.connection.close().await;
    served
}

async fn open(config: &Config) -> Result<ReadStores, ServiceError> {
    let login = NatsLogin::new(&config.nats.user, &config.nats.password);
    let connection = Connection::open(&config.nats.url, &login, "query-api")
        .await
        .map_err(ServiceError::part("the ledger cannot be opened"))?;
    let results = ResultsReader::open(config.postgres.url.expose_secret())
        .map_err(ServiceError::part("the results view cannot be opened"))?;
    let mongo = &config.mongo;
    let progress = ProgressReader::open(mongo.url.expose_secret(), &mongo.database)
        .await
        .map_err(ServiceError::part("the progress view cannot be opened"))?;
    Ok(ReadStores { connection, results: Arc::new(results), progress: Arc::new(progress) })
}

fn ledger(stores: &ReadStores) -> Ledger {
    stores.connection.ledger(Arc::new(SystemClock))
}

fn router(app: QueryApi, stores: &ReadStores, recorder: Metrics) -> Router {
    let router = routes::router().merge(stores.router(recorder));
    platform::http::middleware(router).with_state(app)
}
