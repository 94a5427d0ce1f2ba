//! The service from start to stop: connects, listens for changes, serves, and ends when told.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ledger::{ConnectError, Connection, Ledger};
use platform::auth::Verifier;
use platform::clock::{Clock, SystemClock};
use platform::config::ExposeSecret;
use platform::shutdown::{Shutdown, ShutdownError};
use platform::telemetry::{Metrics, TelemetryError, init_logs};
use sandbox::languages::Catalog;
use tracing::info;
use views::error::OpenError;
use views::results::ResultsReader;

use crate::app::{App, Parts};
use crate::changes::{Feed, Waiters};
use crate::config::Config;
use crate::health::Stores;
use crate::progress::mongo::MongoProgress;
use crate::{metrics, routes};

/// How long tasks may take to end after the last answer.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// Why the service ended, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Signals or the address cannot be had.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Logs or metrics cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The address of NATS cannot be used.
    #[error(transparent)]
    Nats(#[from] ConnectError),
    /// The address of a view's store cannot be used.
    #[error(transparent)]
    View(#[from] OpenError),
    /// It did not end cleanly.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
}

/// Runs the service until it is told to stop.
pub async fn run(config: Config) -> Result<(), ServiceError> {
    init_logs(&config.log)?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let recorder = Metrics::install(&shutdown)?;
    platform::http::describe();
    metrics::describe();
    let stores = open(&config).await?;
    let waiters = Arc::new(Waiters::default());
    let feed = Feed::new(ledger(&stores), Arc::clone(&waiters));
    shutdown.spawn_vital("feed", feed.run(shutdown.token()));
    let app = app(&config, &stores, waiters, &shutdown);
    let socket = platform::http::bind(config.http.listen).await?;
    info!(http.listen = %config.http.listen, "listening");
    let served = platform::http::serve(router(app, &stores, recorder), socket, &shutdown).await;
    let finished = shutdown.finish(STOP_TIME_MAX).await;
    stores.connection.close().await;
    info!("stopped");
    served?;
    Ok(finished?)
}

async fn open(config: &Config) -> Result<Stores, ServiceError> {
    let mongo = &config.mongo;
    Ok(Stores {
        connection: Connection::open(&config.nats.url, "query-api").await?,
        results: Arc::new(ResultsReader::open(config.postgres.url.expose_secret())?),
        progress: Arc::new(MongoProgress::open(mongo.url.expose_secret(), &mongo.database).await?),
    })
}

fn ledger(stores: &Stores) -> Ledger {
    stores.connection.ledger(Arc::new(|| SystemClock.now()))
}

fn app(config: &Config, stores: &Stores, waiters: Arc<Waiters>, shutdown: &Shutdown) -> App {
    App::from(Parts {
        ledger: ledger(stores),
        results: Arc::clone(&stores.results),
        progress: Arc::clone(&stores.progress),
        outputs: Arc::new(stores.connection.objects()),
        waiters,
        verifier: Arc::new(Verifier::new(&config.auth)),
        catalog: Catalog::builtin(),
        clock: Arc::new(SystemClock),
        stop: shutdown.token(),
    })
}

fn router(app: App, stores: &Stores, recorder: Metrics) -> Router {
    let router = routes::router().merge(stores.router(recorder));
    platform::http::middleware(router).with_state(app)
}
