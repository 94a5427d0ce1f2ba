//! The service: both projections, each on its own, and what operators ask of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ledger::{Connection, Ledger};
use platform::clock::SystemClock;
use platform::config::ExposeSecret as _;
use platform::http::health::{self, HealthChecks};
use platform::service::{ServiceError, ServiceRuntime};
use platform::shutdown::Shutdown;
use platform::telemetry::{Metrics, error_chain};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::metrics;
use crate::progress::ProgressProjection;
use crate::projection::Projection;
use crate::results::ResultsProjection;
use crate::runner::Runner;
use crate::status::Status;
use views::error::WriteError;
use views::generation::ViewStore as _;
use views::progress::ProgressWriter;
use views::results::ResultsWriter;

/// How often the lag is measured.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// How long a batch in hand may take after the stop. One that takes longer is folded again at the next start.
const FINISH_TIME_MAX: Duration = Duration::from_secs(25);

/// Everything that the projector works with. Connects in the background.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The connection to the ledger.
    pub connection: Connection,
    /// `results`.
    pub results: ResultsProjection,
    /// `progress`.
    pub progress: ProgressProjection,
}

impl Stores {
    /// Makes the connections that the configuration names.
    pub async fn open(config: &Config) -> Result<Self, ServiceError> {
        let connection = Connection::open(&config.nats.url, "projector").await;
        let results = ResultsWriter::connect_lazy(config.postgres.url.expose_secret());
        let mongo = &config.mongo;
        let progress =
            ProgressWriter::connect_lazy(mongo.url.expose_secret(), &mongo.database).await;
        Ok(Self {
            connection: connection.map_err(ServiceError::part("the ledger cannot be opened"))?,
            results: ResultsProjection::new(
                results.map_err(ServiceError::part("the results view cannot be opened"))?,
            ),
            progress: ProgressProjection::new(
                progress.map_err(ServiceError::part("the progress view cannot be opened"))?,
            ),
        })
    }

    /// Returns the ledger.
    pub fn ledger(&self) -> Ledger {
        self.connection.ledger(Arc::new(SystemClock))
    }

    /// Returns both projections.
    pub fn projections(&self) -> [Arc<dyn Projection>; 2] {
        [Arc::new(self.results.clone()), Arc::new(self.progress.clone())]
    }
}

/// Runs until SIGTERM or SIGINT.
pub async fn serve(config: &Config) -> Result<(), ServiceError> {
    let runtime = ServiceRuntime::start(&config.log)?;
    metrics::describe();
    ledger::describe_metrics();
    let stores = Stores::open(config).await?;
    let statuses = start(&stores.ledger(), stores.projections(), &runtime.shutdown);
    watch_lag(stores.ledger(), statuses.clone(), &runtime.shutdown);
    let router = router(&stores, &statuses, runtime.metrics.clone());
    let served = runtime.serve(config.http.listen, router, FINISH_TIME_MAX).await;
    stores.connection.close().await;
    served
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
    let checks = HealthChecks::new()
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
                tokio::join!(stores.results.writer().ping(), stores.progress.writer().ping());
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
        Box::pin(async move { connection.ready().await.map_err(|error| error_chain(&error)) })
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
        result.err().map(|error| format!("{name}: {}", error_chain(&error)))
    };
    joined(&results.into_iter().filter_map(fault).collect::<Vec<_>>())
}

fn joined(faults: &[String]) -> Result<(), String> {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
