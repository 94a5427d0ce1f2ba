//! The service: both projections, each on its own, and what operators ask of them.

use std::sync::Arc;
use std::time::Duration;

use ledger::{Connection, Ledger};
use platform::clock::SystemClock;
use platform::config::ExposeSecret as _;
use platform::service::{ServiceError, ServiceRuntime};
use platform::shutdown::Shutdown;
use tokio::time::{MissedTickBehavior, interval};
use views::progress::ProgressWriter;
use views::results::ResultsWriter;

use crate::config::Config;
use crate::progress::ProgressProjection;
use crate::projection::Projection;
use crate::results::ResultsProjection;
use crate::runner::ProjectionRunner;
use crate::status::Status;
use crate::{health, metrics};

/// How often the lag is measured.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// How long a batch that has begun may take after the stop. A longer one is folded again at the next start.
const FINISH_TIME_MAX: Duration = Duration::from_secs(25);

/// Everything that the projector works with. Connects in the background.
#[derive(Clone, Debug)]
pub struct Connections {
    /// The connection to the ledger.
    pub connection: Connection,
    /// `results`.
    pub results: ResultsProjection,
    /// `progress`.
    pub progress: ProgressProjection,
}

impl Connections {
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
    let stores = Connections::open(config).await?;
    let statuses = start(&stores.ledger(), stores.projections(), &runtime.shutdown);
    watch_lag(stores.ledger(), statuses.clone(), &runtime.shutdown);
    let router = health::router(&stores, &statuses, runtime.metrics.clone());
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
            let runner = ProjectionRunner::new(ledger.clone(), projection, status.clone(), stop);
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
