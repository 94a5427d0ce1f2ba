//! The two ways to run: once, or until the stop.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use platform::http::health::{self, HealthChecks};
use platform::service::{ServiceError, ServiceRuntime};
use platform::shutdown::Shutdown;
use platform::telemetry::{error_chain, init_logs};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::metrics;
use crate::streams_and_queues::{CheckError, StreamsAndQueues};

/// The pause after a check that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long tasks may take to end after the last answer.
const FINISH_TIME_MAX: Duration = Duration::from_secs(5);

/// Makes what is missing, mends what differs, and returns.
pub async fn provision_once(config: &Config) -> Result<(), ServiceError> {
    init_logs(&config.log)?;
    let wanted = StreamsAndQueues::open(config).await?;
    let ensured = wanted.ensure().await;
    wanted.close().await;
    ensured.map_err(ServiceError::part("NATS is not as it must be"))?;
    info!("everything is as it must be");
    Ok(())
}

/// Does the same, and checks again and again until the stop. Makes no ledger where one was before.
pub async fn keep(config: Config) -> Result<(), ServiceError> {
    let service = ServiceRuntime::start(&config.log, config.http.listen).await?;
    metrics::describe();
    metrics::begin();
    ledger::describe_metrics();
    let wanted = Arc::new(StreamsAndQueues::open(&config).await?);
    let trouble = watch::Sender::new(Some("nothing was checked yet".to_owned()));
    let keeper = Keeper {
        wanted: Arc::clone(&wanted),
        check_every: config.queues.check_every(),
        trouble: trouble.clone(),
        shutdown: service.shutdown.clone(),
    };
    let check = move || std::future::ready(trouble.borrow().clone().map_or(Ok(()), Err));
    let checks = HealthChecks::new().with("streams", check);
    let router = platform::http::middleware(health::router(&checks, service.metrics.clone()));
    let kept = service.shutdown.spawn(keeper.run());
    let served = service.serve(router, FINISH_TIME_MAX).await;
    wanted.close().await;
    served?;
    let kept = kept.await.map_err(ServiceError::part("a task panicked"))?;
    kept.map_err(ServiceError::part("NATS is not as it must be"))
}

/// Keeps everything as it must be.
struct Keeper {
    wanted: Arc<StreamsAndQueues>,
    check_every: Duration,
    /// What the last check found that is not as it must be.
    trouble: watch::Sender<Option<String>>,
    shutdown: Shutdown,
}

impl Keeper {
    /// Runs until the stop. What only an operator can mend ends the service at its start, and is
    /// told by its health later, since what exists still serves then.
    async fn run(self) -> Result<(), CheckError> {
        let stop = self.shutdown.token();
        let mut has_been_well = false;
        loop {
            let checking = Box::pin(self.wanted.ensure_again(has_been_well));
            let Some(checked) = stop.run_until_cancelled(checking).await else { return Ok(()) };
            let pause = match checked {
                Ok(()) => {
                    if !has_been_well {
                        info!("everything is as it must be");
                    }
                    has_been_well = true;
                    self.trouble.send_replace(None);
                    self.check_every
                }
                Err(error) => {
                    report(&error);
                    if error.is_lasting() && !has_been_well {
                        self.shutdown.trigger();
                        return Err(error);
                    }
                    self.trouble.send_replace(Some(error_chain(&error)));
                    RETRY_PAUSE
                }
            };
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return Ok(());
            }
        }
    }
}

fn report(error: &CheckError) {
    metrics::check_failed();
    let cause = error as &dyn Error;
    if error.is_lasting() {
        error!(error = cause, "NATS is not as it must be, and only an operator can mend it");
    } else {
        warn!(error = cause, "NATS is not as it must be yet");
    }
}
