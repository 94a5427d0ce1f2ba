//! The service: both projections, each on its own, and what operators ask of them.

use std::time::Duration;

use events::IdSource as _;
use ledger::Ledger;
use platform::ids::RandomIds;
use platform::service::{ServiceError, ServiceRuntime};
use platform::shutdown::Shutdown;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::connections::Connections;
use crate::runner::ProjectionRunner;
use crate::status::{Phase, Status};
use crate::sweep::keep_sweeping;
use crate::{health, metrics};
use views::generation::Position;

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
    let statuses = start_led(&connections, &runtime.shutdown);
    watch_lag(connections.ledger(), statuses.clone(), &runtime.shutdown);
    keep_sweeping(config, &runtime.shutdown).await?;
    let router = health::router(&connections, &statuses, runtime.metrics.clone());
    let served = runtime.serve(router, FINISH_TIME_MAX).await;
    // Last, since the runners read through this connection until `serve` has seen them end.
    connections.connection.close().await;
    served
}

/// Starts each projection on a task of its own, so that one whose store is away does not stop the
/// other. It folds while this process leads in it.
fn start_led(connections: &Connections, shutdown: &Shutdown) -> Vec<Status> {
    let process = RandomIds.new_id();
    connections
        .projections()
        .into_iter()
        .map(|projection| {
            let status = Status::new(projection.store().name());
            let (key, holder) = (format!("projector.{}", status.name()), process.to_string());
            let leadership = connections.connection.leadership(key, holder);
            let (ledger, stop) = (connections.ledger(), shutdown.token());
            let runner = ProjectionRunner::new(ledger, projection, status.clone());
            shutdown.spawn_vital(status.name(), async move {
                runner.run_while_leading(&leadership, &stop).await;
            });
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
            // Before the ledger is asked: a view goes on meanwhile, and would seem to be ahead.
            let stands: Vec<_> = statuses.iter().map(Status::position).collect();
            // While the ledger is away nothing is known of the lag, and the last value stays.
            if let Some(Ok(last)) = stop.run_until_cancelled(ledger.last_sequence()).await {
                for (status, stands) in statuses.iter().zip(stands) {
                    report_lag(status, stands, last);
                }
            }
        }
    });
}

fn report_lag(status: &Status, stands: Option<Position>, last: u64) {
    // The process that leads tells it.
    if status.phase() == Phase::Waiting {
        return metrics::lag(status.name(), 0, Duration::ZERO);
    }
    // A projection that has never reached its store counts as empty, so that an alarm on the lag
    // fires for it, too.
    let stands = stands.map_or(0, Position::sequence);
    // Signed: a view that is ahead has what the ledger has lost.
    let behind = last.cast_signed() - stands.cast_signed();
    status.set_lag(behind);
    // A view that does not move while there is nothing to fold has not stalled.
    let stalled = if behind == 0 { Duration::ZERO } else { status.unmoved() };
    metrics::lag(status.name(), behind, stalled);
}
