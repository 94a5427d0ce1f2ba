//! The service from start to stop: connects, provisions, serves, and ends when told.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use events::BootId;
use ledger::{ConnectError, Connection, Ledger, ProvisionError};
use platform::auth::Verifier;
use platform::clock::{Clock, SystemClock};
use platform::http::health::{self, Checks};
use platform::ids::{IdSource, RandomIds};
use platform::json::BodyLimit;
use platform::shutdown::{Shutdown, ShutdownError};
use platform::telemetry::{Metrics, TelemetryError, init_logs};
use sandbox::languages::Catalog;
use tokio::task::JoinError;
use tracing::{error, info, warn};

use crate::admission::{Admission, Room};
use crate::app::{App, Parts};
use crate::bus::NatsBus;
use crate::config::Config;
use crate::{metrics, routes};

/// The pause between two tries to provision.
const PROVISION_PAUSE: Duration = Duration::from_secs(1);
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
    Connect(#[from] ConnectError),
    /// The ledger must not be used as it is.
    #[error("the ledger must not be used as it is")]
    Provision(#[from] ProvisionError),
    /// It did not end cleanly.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
    /// A task panicked.
    #[error("a task panicked")]
    Task(#[from] JoinError),
}

/// Runs the service until it is told to stop.
pub async fn run(config: Config) -> Result<(), ServiceError> {
    init_logs(&config.log)?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let recorder = Metrics::install(&shutdown)?;
    platform::http::describe();
    metrics::describe();
    let connection = Connection::open(&config.nats.url, "command-api").await?;
    let admission = Arc::new(Admission::default());
    let app = app(&config, &connection, &admission);
    let checks = checks(&connection, &admission);
    let router = router(app, config.http.body_bytes_max, &checks, recorder);
    let listener = platform::http::bind(config.http.listen).await?;
    info!(http.listen = %config.http.listen, "listening");
    let keeper = Keeper { connection: connection.clone(), admission, shutdown: shutdown.clone() };
    let kept = shutdown.spawn(keeper.keep(config));
    let served = platform::http::serve(router, listener, &shutdown).await;
    let finished = shutdown.finish(STOP_TIME_MAX).await;
    connection.close().await;
    info!("stopped");
    served?;
    finished?;
    Ok(kept.await??)
}

fn app(config: &Config, connection: &Connection, admission: &Arc<Admission>) -> App {
    let bus = NatsBus { objects: connection.objects(), presence: connection.presence() };
    let ids = RandomIds;
    App::from(Parts {
        ledger: open_ledger(config, connection),
        bus: Arc::new(bus),
        admission: Arc::clone(admission),
        verifier: Arc::new(Verifier::new(&config.auth)),
        catalog: Catalog::builtin(),
        policy: config.limits,
        instance: BootId::new(ids.new_id()),
        ids: Arc::new(ids),
    })
}

fn open_ledger(config: &Config, connection: &Connection) -> Ledger {
    let clock = Arc::new(|| SystemClock.now());
    connection.ledger(clock).with_deadline(config.ledger.append_deadline())
}

/// Returns the whole router: routes, health, metrics, and the frame around them.
pub fn router(app: App, body_bytes_max: usize, checks: &Checks, recorder: Metrics) -> Router {
    let routes = routes::router().layer(BodyLimit::layer(body_bytes_max));
    let router = routes.merge(health::router(checks, recorder));
    platform::http::middleware(router).with_state(app)
}

fn checks(connection: &Connection, admission: &Arc<Admission>) -> Checks {
    let (connection, admission) = (connection.clone(), Arc::clone(admission));
    let queue = move || {
        let connection = connection.clone();
        async move { connection.ready().await.map_err(|error| error.to_string()) }
    };
    let streams = move || {
        let started = admission.has_started();
        async move {
            if started { Ok(()) } else { Err("the streams are not provisioned yet".to_owned()) }
        }
    };
    Checks::new().with("queue", queue).with("streams", streams)
}

/// Provisions, and then keeps the gate.
struct Keeper {
    connection: Connection,
    admission: Arc<Admission>,
    shutdown: Shutdown,
}

impl Keeper {
    /// A ledger that must not be used as it is ends the service.
    async fn keep(self, config: Config) -> Result<(), ProvisionError> {
        let stop = self.shutdown.token();
        match stop.run_until_cancelled(self.provision(&config)).await {
            None => return Ok(()),
            Some(Ok(())) => {}
            Some(Err(error)) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the ledger must not be used as it is"
                );
                self.shutdown.trigger();
                return Err(error);
            }
        }
        let ledger = open_ledger(&config, &self.connection);
        let room = Room { ledger, objects: self.connection.objects() };
        self.admission.keep(&room, config.admission, &self.shutdown).await;
        Ok(())
    }

    async fn provision(&self, config: &Config) -> Result<(), ProvisionError> {
        let settings = config.stream_settings();
        loop {
            let Err(error) = self.connection.provision(&settings).await else {
                info!("the streams are there");
                return Ok(());
            };
            if is_lasting(&error) {
                return Err(error);
            }
            warn!(error = &error as &dyn std::error::Error, "cannot provision yet");
            tokio::time::sleep(PROVISION_PAUSE).await;
        }
    }
}

/// Tells whether only a person can mend it.
fn is_lasting(error: &ProvisionError) -> bool {
    match error {
        ProvisionError::TooOld { .. }
        | ProvisionError::NotDurable { .. }
        | ProvisionError::NoMonitor
        | ProvisionError::NotAllMonitored { .. }
        | ProvisionError::Different { .. } => true,
        ProvisionError::Monitor { .. } | ProvisionError::Create { .. } => false,
    }
}
