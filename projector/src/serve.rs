//! The service: both projections, each on its own, and what operators ask of them.

use std::sync::Arc;
use std::time::Duration;

use ledger::Ledger;
use platform::service::{ServiceError, ServiceRuntime};
use platform::shutdown::Shutdown;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::connections::Connections;
use crate::projection::Projection;
use crate::runner::ProjectionRunner;
use crate::status::Status;
use crate::{health, metrics};

/// How often the lag is measured.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// How long a batch that has begun may take after the stop.
// A batch that takes longer is folded again at the next start.
const FINISH_TIME_MAX: Duration = Duration::from_secs(25);

/// Runs until SIGTERM or SIGINT.
pub async fn serve(config: &Config) -> Result<(), ServiceError> {
    let runtime = ServiceRuntime::start(&config.log, config.http.listen).await?;
    metrics::describe();
    ledger::describe_metrics();
    let connections = Connections::open(config).await?;
    let statuses = start(&connections.ledger(), connections.projections(), &runtime.shutdown);
    watch_lag(connections.ledger(), statuses.clone(), &runtime.shutdown);
    let router = health::router(&connections, &statuses, runtime.metrics.clone());
    let served = runtime.serve(router, FINISH_TIME_MAX).await;
    // Last, since the runners read through this connection until `serve` has seen them end.
    connections.connection.close().await;
    served
}

/// Starts each projection on a task of its own, so that one whose store is away does not stop the
/// other.
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
    // Not vital: both views stay level with the ledger while the lag is not measured.
    shutdown.spawn(async move {
        let mut ticks = interval(LAG_EVERY);
        // By default an interval makes up for missed ticks at once: a burst of questions to a
        // ledger that has just come back.
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
    // A projection that has never reached its store counts as empty, so that an alarm on the lag
    // fires for it, too.
    let stands = status.position().map_or(0, |position| position.sequence);
    // `last` was read first, and the projection may have passed it since.
    let behind = last.saturating_sub(stands);
    // A view that does not move while there is nothing to fold has not stalled.
    let stalled = if behind == 0 { Duration::ZERO } else { status.unmoved() };
    metrics::lag(status.name(), behind, stalled);
}
