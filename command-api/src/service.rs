//! The service from start to stop: connects, asks whether NATS is durable, serves, and ends when
//! told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use backon::{ConstantBuilder, Retryable as _};
use events::{BootId, IdSource, PoolName, QueueName};
use ledger::{Connection, KnownOffers, Ledger, NatsLogin, ProvisionError};
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
use crate::fair_shares::FairShares;
use crate::feed::{UnendedCounter, feed};
use crate::limited_store::LimitedStore;
use crate::owed_room::OwedRoom;
use crate::stored_bytes::{StoredBytes, StoredLimits};
use crate::{metrics, routes};

/// The pause between two questions whether NATS is durable.
const DURABILITY_PAUSE: Duration = Duration::from_secs(1);
/// How long tasks may take to end after the last answer.
const FINISH_TIME_MAX: Duration = Duration::from_secs(5);

/// Runs the service until it is told to stop.
pub async fn run(config: Config) -> Result<(), ServiceError> {
    let service = ServiceRuntime::start(&config.log, config.http.listen).await?;
    metrics::describe();
    ledger::describe_metrics();
    let catalog = Catalog::load(&config.languages);
    let catalog = catalog.map_err(ServiceError::part("there are no languages"))?;
    let login = NatsLogin::new(&config.nats.user, &config.nats.password);
    let connection = Connection::open(&config.nats.url, &login, "command-api").await;
    let connection = connection.map_err(ServiceError::part("the ledger cannot be opened"))?;
    let counters = Counters::new(&config, &catalog);
    let offers = KnownOffers::new(Arc::new(SystemClock));
    let durability = connection.durability(config.nats.monitor_urls());
    let (owed, stored) = (counters.owed.clone(), counters.stored.clone());
    let admission = Admission::new(&config.admission, offers, owed, stored, durability);
    let admission = Arc::new(admission);
    let (shares, queues) = (counters.shares.clone(), queues(&catalog));
    let app = app(&config, &connection, &admission, catalog, shares);
    let checks = checks(&connection, &admission);
    let router = router(app, config.http.body_bytes_max, &checks, service.metrics.clone());
    let (keeper, shutdown) = (connection.clone(), service.shutdown.clone());
    let keeper = AdmissionKeeper { connection: keeper, admission, counters, queues, shutdown };
    // Requests are answered before the provisioner has made the streams: until then submissions get
    // 503, and probes see that it lives.
    let kept = service.shutdown.spawn(keeper.run(config));
    let served = service.serve(router, FINISH_TIME_MAX).await;
    connection.close().await;
    served?;
    let kept = kept.await.map_err(ServiceError::part("a task panicked"))?;
    kept.map_err(ServiceError::part("the ledger must not be used as it is"))
}

/// What admission counts, as the ledger tells it.
struct Counters {
    shares: FairShares,
    owed: OwedRoom,
    stored: StoredBytes,
}

impl Counters {
    fn new(config: &Config, catalog: &Catalog) -> Self {
        let limits = StoredLimits {
            bytes_max: config.admission.stored_bytes_of_principal_max,
            age: config.outputs.age(),
        };
        Self {
            shares: FairShares::new(config.admission.share_limits()),
            owed: OwedRoom::new(catalog),
            stored: StoredBytes::new(limits, Arc::new(SystemClock)),
        }
    }
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
    let room = health::page("room", room_checks(app.admission()));
    let router = routes.merge(health::router(checks, recorder)).merge(room);
    platform::http::middleware(router).with_state(app)
}

fn checks(connection: &Connection, admission: &Arc<Admission>) -> HealthChecks {
    let (connection, admission) = (connection.clone(), Arc::clone(admission));
    let durability = admission.durability().clone();
    let queue = move || {
        let connection = connection.clone();
        async move { connection.ready().await.map_err(|error| error_chain(&error)) }
    };
    let streams = move || {
        let started = admission.has_started();
        async move {
            // What is missing stands in the log.
            let text = "the streams were not looked at yet; the provisioner makes them";
            if started { Ok(()) } else { Err(text.to_owned()) }
        }
    };
    HealthChecks::new()
        .with("queue", queue)
        .with("streams", streams)
        .with("durability", move || std::future::ready(durability.check()))
}

/// Returns a check for each store. They do not count for readiness: a service that a proxy takes no
/// requests to could not tell clients what is full.
fn room_checks(admission: &Arc<Admission>) -> HealthChecks {
    LimitedStore::ALL.into_iter().fold(HealthChecks::new(), |checks, store| {
        let admission = Arc::clone(admission);
        checks.with(store.as_str(), move || {
            let has_room = !admission.is_full(store);
            let full = || "nearly full: submissions that need it are refused".to_owned();
            std::future::ready(has_room.then_some(()).ok_or_else(full))
        })
    })
}

/// Sees that NATS is durable, and then keeps admission up to date.
struct AdmissionKeeper {
    connection: Connection,
    admission: Arc<Admission>,
    counters: Counters,
    /// Every queue that submissions can wait in.
    queues: Vec<QueueName>,
    shutdown: Shutdown,
}

impl AdmissionKeeper {
    /// Runs until the stop. A ledger that must not be used as it is ends the service.
    async fn run(self, config: Config) -> Result<(), ProvisionError> {
        let stop = self.shutdown.token();
        match stop.run_until_cancelled(self.wait_for_durability(&config)).await {
            None => return Ok(()),
            Some(Ok(())) => info!("NATS is durable"),
            Some(Err(error)) => {
                let cause: &dyn std::error::Error = &error;
                error!(error = cause, "the ledger must not be used as it is");
                // Waiting does not help: only an operator can.
                self.shutdown.trigger();
                return Err(error);
            }
        }
        let ledger = open_ledger(&config, &self.connection);
        let Counters { shares, owed, stored } = self.counters;
        let unended =
            UnendedCounter { shares, owed, queue: self.connection.queue(), queues: self.queues };
        let objects = self.connection.objects();
        let gauge = StorageGauge { ledger: ledger.clone(), objects };
        let keeping = self.admission.keep(&gauge, config.admission, &self.shutdown);
        let offers = self.connection.offers();
        tokio::select! {
            () = keeping => Ok(()),
            never = offers.watch(self.admission.offers()) => match never {},
            never = self.admission.durability().keep_asking() => match never {},
            never = feed(&unended, &ledger) => match never {},
            never = feed(&stored, &ledger) => match never {},
        }
    }

    async fn wait_for_durability(&self, config: &Config) -> Result<(), ProvisionError> {
        let monitor_urls = config.nats.monitor_urls();
        // NATS may start later than this service, so there is no last try.
        let pauses = ConstantBuilder::default().with_delay(DURABILITY_PAUSE).without_max_times();
        (|| self.connection.check_durability(&monitor_urls))
            .retry(pauses)
            .when(|error| !error.is_lasting())
            .notify(|error, _pause| {
                let error = error as &dyn std::error::Error;
                warn!(error, "it cannot be seen yet whether NATS is durable");
            })
            .await
    }
}
