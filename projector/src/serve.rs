//! The service: both projections, each on its own, and what operators ask of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ledger::{ConnectError, Connection, Ledger};
use platform::clock::{Clock, SystemClock};
use platform::config::ExposeSecret as _;
use platform::http::health::{self, Checks};
use platform::shutdown::{Shutdown, ShutdownError};
use platform::telemetry::{Metrics, TelemetryError};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::metrics;
use crate::progress::ProgressStore;
use crate::projection::Projection;
use crate::results::ResultsProjection;
use crate::runner::{Runner, chain};
use crate::status::Status;
use views::error::{OpenError, WriteError};
use views::generation::ViewStore as _;
use views::results::ResultsWriter;

/// How often the lag is measured.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// How long a batch in hand may take after the stop. One that takes longer is folded again at the next start.
const FINISH_TIME_MAX: Duration = Duration::from_secs(25);

/// Why the service could not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A store's address makes no sense.
    #[error("a store cannot be used")]
    Store(#[from] OpenError),
    /// The ledger's address makes no sense.
    #[error("the ledger cannot be used")]
    Ledger(#[from] ConnectError),
    /// Metrics cannot be recorded.
    #[error("telemetry cannot be set up")]
    Telemetry(#[from] TelemetryError),
    /// The address cannot be listened on, or signals cannot be received.
    #[error("the service cannot listen")]
    Listen(#[from] std::io::Error),
    /// It did not end well.
    #[error("the service did not end cleanly")]
    Shutdown(#[from] ShutdownError),
}

/// Everything that the projector works with. Connects in the background.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The connection to the ledger.
    pub connection: Connection,
    /// `results`.
    pub results: ResultsProjection,
    /// `progress`.
    pub progress: ProgressStore,
}

impl Stores {
    /// Makes the connections that the configuration names.
    pub async fn open(config: &Config) -> Result<Self, ServeError> {
        Ok(Self {
            connection: Connection::open(&config.nats.url, "projector").await?,
            results: ResultsProjection::new(ResultsWriter::connect_lazy(
                config.postgres.url.expose_secret(),
            )?),
            progress: ProgressStore::connect_lazy(
                config.mongo.url.expose_secret(),
                &config.mongo.database,
            )
            .await?,
        })
    }

    /// Returns the ledger.
    pub fn ledger(&self) -> Ledger {
        self.connection.ledger(Arc::new(|| SystemClock.now()))
    }

    /// Returns both projections.
    pub fn projections(&self) -> [Arc<dyn Projection>; 2] {
        [Arc::new(self.results.clone()), Arc::new(self.progress.clone())]
    }
}

/// Runs until SIGTERM or SIGINT.
pub async fn serve(config: &Config) -> Result<(), ServeError> {
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let recorder = Metrics::install(&shutdown)?;
    metrics::describe();
    platform::http::describe();
    let listener = platform::http::bind(config.http.listen).await?;
    let stores = Stores::open(config).await?;
    let statuses = start(&stores.ledger(), stores.projections(), &shutdown);
    watch_lag(stores.ledger(), statuses.clone(), &shutdown);
    let router = router(&stores, &statuses, recorder);
    let served = platform::http::serve(router, listener, &shutdown).await;
    let finished = shutdown.finish(FINISH_TIME_MAX).await;
    stores.connection.close().await;
    served?;
    Ok(finished?)
}

/// Starts each projection on a task of its own, so that one whose store is away does not stop the other.
pub fn start(
    ledger: &Ledger,
    projections: impl IntoIterator<Item = Arc<dyn Projection>>,
    shutdown: &Shutdown,
) -> Vec<Status> {
    projections
        .into_iter()
        .map(|projection| {
            let status = Status::new(projection.store().name());
            let (name, stop) = (projection.store().name(), shutdown.token());
            let runner = Runner::new(ledger.clone(), projection, status.clone(), stop);
            shutdown.spawn_vital(name, runner.run());
            status
        })
        .collect()
}

fn watch_lag(ledger: Ledger, statuses: Vec<Status>, shutdown: &Shutdown) {
    let stop = shutdown.token();
    shutdown.spawn(async move {
        let mut ticks = interval(LAG_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            // While the ledger is away nothing is known of the lag, and the last value stays.
            if let Some(Ok(last)) = stop.run_until_cancelled(ledger.last_sequence()).await {
                for status in &statuses {
                    report_lag(status, last);
                }
            }
        }
    });
}

fn report_lag(status: &Status, last: u64) {
    let stands = status.position().map_or(0, |position| position.sequence);
    let behind = last.saturating_sub(stands);
    let stalled = if behind == 0 { Duration::ZERO } else { status.unmoved() };
    metrics::lag(status.name(), behind, stalled);
}

fn router(stores: &Stores, statuses: &[Status], recorder: Metrics) -> Router {
    let checks = Checks::new()
        .with("db", databases(stores))
        .with("queue", queue(stores))
        .with("projections", projections(statuses));
    platform::http::middleware(health::router(&checks, recorder))
}

fn databases(
    stores: &Stores,
) -> impl Fn() -> futures::future::BoxFuture<'static, Result<(), String>> + Send + Sync + 'static {
    let stores = stores.clone();
    move || {
        let stores = stores.clone();
        Box::pin(async move {
            let (results, progress) =
                tokio::join!(stores.results.writer().ping(), stores.progress.ping());
            named_faults([("postgres", results), ("mongodb", progress)])
        })
    }
}

fn queue(
    stores: &Stores,
) -> impl Fn() -> futures::future::BoxFuture<'static, Result<(), String>> + Send + Sync + 'static {
    let connection = stores.connection.clone();
    move || {
        let connection = connection.clone();
        Box::pin(async move { connection.ready().await.map_err(|error| chain(&error)) })
    }
}

fn projections(
    statuses: &[Status],
) -> impl Fn() -> futures::future::BoxFuture<'static, Result<(), String>> + Send + Sync + 'static {
    let statuses = statuses.to_vec();
    move || {
        let faults: Vec<String> =
            statuses.iter().filter_map(|status| status.check().err()).collect();
        Box::pin(std::future::ready(joined(&faults)))
    }
}

fn named_faults<const N: usize>(
    results: [(&str, Result<(), WriteError>); N],
) -> Result<(), String> {
    let fault = |(name, result): (&str, Result<(), WriteError>)| {
        result.err().map(|error| format!("{name}: {}", chain(&error)))
    };
    joined(&results.into_iter().filter_map(fault).collect::<Vec<_>>())
}

fn joined(faults: &[String]) -> Result<(), String> {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
