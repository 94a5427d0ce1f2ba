//! The service from start to stop: connects, provisions the streams, serves, and ends when told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use backon::{ConstantBuilder, Retryable as _};
use events::{BootId, IdSource, PoolName, QueueName};
use ledger::{Connection, KnownOffers, Ledger, ProvisionError};
use platform::auth::Verifier;
use platform::clock::SystemClock;
use platform::http::health::{self, HealthChecks};
use platform::ids::RandomIds;
use platform::json::BodyLimit;
use platform::service::{ServiceError, ServiceRuntime};
use platform::shutdown::Shutdown;
use platform::telemetry::{Metrics, error_chain};
use sandbox::languages::Catalog;
use tracing::{error, info, warn};

use crate::admission::{Admission, StorageGauge};
use crate::app::{App, Parts};
use crate::config::Config;
use crate::fair_shares::{FairShares, ShareFeed};
use crate::{metrics, routes};

/// The pause between two tries to provision.
const PROVISION_PAUSE: Duration = Duration::from_secs(1);
/// How long tasks may take to end after the last answer.
const FINISH_TIME_MAX: Duration = Duration::from_secs(5);

/// Runs the service until it is told to stop.
pub async fn run(config: Config) -> Result<(), ServiceError> {
    let service = ServiceRuntime::start(&config.log, config.http.listen).await?;
    metrics::describe();
    ledger::describe_metrics();
    let catalog = Catalog::load(&config.languages);
    let catalog = catalog.map_err(ServiceError::part("there are no languages"))?;
    let connection = Connection::open(&config.nats.url, "command-api").await;
    let connection = connection.map_err(ServiceError::part("the ledger cannot be opened"))?;
    let offered_within = Duration::from_secs(config.admission.offered_within_s.into());
    let offers = KnownOffers::new(Arc::new(SystemClock));
    let admission = Arc::new(Admission::new(offers, offered_within));
    let shares = FairShares::new(config.admission.share_limits());
    let queues = queues(&catalog);
    let app = app(&config, &connection, &admission, catalog, shares.clone());
    let checks = checks(&connection, &admission);
    let router = router(app, config.http.body_bytes_max, &checks, service.metrics.clone());
    let (keeper, shutdown) = (connection.clone(), service.shutdown.clone());
    let keeper = AdmissionKeeper { connection: keeper, admission, shares, queues, shutdown };
    // Requests are answered before the streams are there: until then submissions get 503, and
    // probes see that it lives.
    let kept = service.shutdown.spawn(keeper.run(config));
    let served = service.serve(router, FINISH_TIME_MAX).await;
    connection.close().await;
    served?;
    let kept = kept.await.map_err(ServiceError::part("a task panicked"))?;
    kept.map_err(ServiceError::part("the ledger must not be used as it is"))
}

fn app(
    config: &Config,
    connection: &Connection,
    admission: &Arc<Admission>,
    catalog: Catalog,
    shares: FairShares,
) -> App {
    let ids = RandomIds;
    App::from(Parts {
        ledger: open_ledger(config, connection),
        objects: connection.objects(),
        announcer: Arc::new(connection.presence()),
        admission: Arc::clone(admission),
        verifier: Arc::new(Verifier::new(&config.auth)),
        catalog,
        policy: config.limits,
        total_time: config.total_time,
        shares,
        instance: BootId::new(ids.new_id()),
        ids: Arc::new(ids),
    })
}

fn queues(catalog: &Catalog) -> Vec<QueueName> {
    let pools: BTreeSet<&str> = catalog.languages().iter().map(|it| it.pool.as_str()).collect();
    let pools = pools.into_iter().map(|pool| pool.parse().expect("the catalog checks its pools"));
    pools.flat_map(|pool: PoolName| QueueName::of_pool(&pool)).collect()
}

fn open_ledger(config: &Config, connection: &Connection) -> Ledger {
    let deadline = Duration::from_millis(u64::from(config.ledger.append_deadline_ms));
    connection.ledger(Arc::new(SystemClock)).with_deadline(deadline)
}

/// Returns the whole router: routes, health, metrics, and the frame around them.
pub fn router(app: App, body_bytes_max: usize, checks: &HealthChecks, recorder: Metrics) -> Router {
    let routes = routes::router().layer(BodyLimit::layer(body_bytes_max));
    let router = routes.merge(health::router(checks, recorder));
    platform::http::middleware(router).with_state(app)
}

fn checks(connection: &Connection, admission: &Arc<Admission>) -> HealthChecks {
    let (connection, admission) = (connection.clone(), Arc::clone(admission));
    let queue = move || {
        let connection = connection.clone();
        async move { connection.ready().await.map_err(|error| error_chain(&error)) }
    };
    let streams = move || {
        let started = admission.has_started();
        async move {
            if started { Ok(()) } else { Err("the streams were not looked at yet".to_owned()) }
        }
    };
    HealthChecks::new().with("queue", queue).with("streams", streams)
}

/// Makes the streams, and then keeps admission up to date.
struct AdmissionKeeper {
    connection: Connection,
    admission: Arc<Admission>,
    shares: FairShares,
    /// Every queue that submissions can wait in.
    queues: Vec<QueueName>,
    shutdown: Shutdown,
}

impl AdmissionKeeper {
    /// Runs until the stop. A ledger that must not be used as it is ends the service.
    async fn run(self, config: Config) -> Result<(), ProvisionError> {
        let stop = self.shutdown.token();
        match stop.run_until_cancelled(self.provision(&config)).await {
            None => return Ok(()),
            Some(Ok(())) => info!("streams provisioned"),
            Some(Err(error)) => {
                let cause: &dyn std::error::Error = &error;
                error!(error = cause, "the ledger must not be used as it is");
                // Without streams the service is of no use, and waiting does not help: only an
                // operator can.
                self.shutdown.trigger();
                return Err(error);
            }
        }
        let ledger = open_ledger(&config, &self.connection);
        let (shares, queues) = (self.shares.clone(), self.queues.clone());
        let feed =
            ShareFeed { shares, ledger: ledger.clone(), queue: self.connection.queue(), queues };
        let gauge = StorageGauge { ledger, objects: self.connection.objects() };
        let keeping = self.admission.keep(&gauge, config.admission, &self.shutdown);
        let offers = self.connection.offers();
        tokio::select! {
            () = keeping => Ok(()),
            never = offers.watch(self.admission.offers()) => match never {},
            never = feed.run() => match never {},
        }
    }

    async fn provision(&self, config: &Config) -> Result<(), ProvisionError> {
        let settings = config.stream_settings();
        // NATS may start later than this service, so there is no last try.
        let pauses = ConstantBuilder::default().with_delay(PROVISION_PAUSE).without_max_times();
        (|| self.connection.provision(&settings))
            .retry(pauses)
            .when(|error| !is_lasting(error))
            .notify(|error, _pause| {
                warn!(error = error as &dyn std::error::Error, "cannot provision yet");
            })
            .await
    }
}

/// Tells whether another try is of no use: an operator has to mend it.
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
