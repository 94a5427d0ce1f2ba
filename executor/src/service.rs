//! The whole executor: its parts put together, started in order, and stopped so that nothing is
//! lost and nothing is left behind.

mod parts;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::iter::repeat;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use events::{BootId, Clock, IdSource, Lane, PoolName, Priority, QueueName};
use futures::future::join_all;
use ledger::{Connection, Durability, KnownOffers, NatsLogin, Presence};
use platform::clock::SystemClock;
use platform::http::health::{self, HealthChecks};
use platform::ids::RandomIds;
use platform::service::{ServiceError, ServiceRuntime};
use platform::shutdown::Shutdown;
use platform::telemetry::{Metrics, error_chain};
use sandbox::languages::Catalog;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::attempt::{ACK_WAIT_MIN, AckWait, DeliveryHandler, HeldSubmissions};
use crate::cells::engine::{DockerEngine, Machine};
use crate::cells::pool::Pool;
use crate::cells::reaper::AGE_MIN;
use crate::config::Config;
use crate::intake::{Intake, heed_cancellations};
use crate::outputs_room::OutputsRoom;
use crate::queue_watch::watch_queue;
use crate::waits::until_success;

/// How often orphans are looked for: one costs memory, and nothing else, until it is found.
const REAP_EVERY: Duration = Duration::from_mins(1);
// What follows bounds the time from SIGTERM to the end, which the operator is promised: 25 seconds
// besides the grace.

/// How long leaving the queue may take at the stop, while submissions go on.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long handing back what is not finished may take.
const HAND_BACK_TIME_MAX: Duration = Duration::from_secs(6);
/// How long removing all cells may take after that; longer by what the submissions left of their
/// time.
const CLEAN_UP_TIME_MAX: Duration = Duration::from_secs(12);
/// How long the last tasks may take to end.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// A pool that no language belongs to.
#[derive(Debug, Error)]
#[error("no language belongs to pool {0}")]
struct EmptyPool(PoolName);

/// Runs the executor until it is told to stop.
pub async fn run(config: Config) -> Result<(), ServiceError> {
    let ServiceRuntime { listener, shutdown, metrics } =
        ServiceRuntime::start(&config.log, config.http.listen).await?;
    crate::metrics::describe();
    ledger::describe_metrics();
    let service = ExecutorService::connect(config, shutdown).await?;
    service.serve_health(listener, metrics);
    service.run_until_stopped().await
}

/// An executor that is connected.
struct ExecutorService {
    config: Config,
    catalog: Arc<Catalog>,
    boot: BootId,
    connection: Connection,
    engine: DockerEngine,
    cells: Arc<OnceLock<Pool>>,
    /// What executors have, this one included.
    offers: KnownOffers,
    /// Whether outcomes are safe once they are acknowledged.
    durability: Durability,
    outputs_room: OutputsRoom,
    shutdown: Shutdown,
    /// Ends what must go on until the last submission has ended here, such as the answers to other
    /// executors: without them a submission that is being finished would be taken over.
    after_jobs: CancellationToken,
}

impl ExecutorService {
    async fn connect(config: Config, shutdown: Shutdown) -> Result<Self, ServiceError> {
        let catalog = Catalog::load(&config.languages);
        let catalog = catalog.map_err(ServiceError::part("there are no languages"))?;
        let boot = BootId::new(RandomIds.new_id());
        let name = format!("executor-{}", config.executor.name);
        let login = NatsLogin::new(&config.nats.user, &config.nats.password);
        let connection = Connection::open(&config.nats.url, &login, &name).await;
        let connection = connection.map_err(ServiceError::part("the ledger cannot be opened"))?;
        let engine = DockerEngine::new(&config.docker.host);
        let durability = connection.durability(config.nats.monitor_urls());
        let service = Self {
            config,
            catalog: Arc::new(catalog),
            boot,
            connection,
            engine,
            cells: Arc::default(),
            offers: KnownOffers::new(Arc::new(SystemClock)),
            durability,
            outputs_room: OutputsRoom::default(),
            shutdown,
            after_jobs: CancellationToken::new(),
        };
        for pool in &service.config.executor.pools {
            // Most likely a misspelt name: the executor would wait for ever on a queue that no
            // submission ever enters.
            if service.images(std::slice::from_ref(pool)).is_empty() {
                let empty = EmptyPool(pool.clone());
                return Err(ServiceError::part("`executor.pools` cannot be used")(empty));
            }
        }
        Ok(service)
    }

    /// Returns the images that the languages of these pools need.
    fn images(&self, pools: &[PoolName]) -> Vec<String> {
        let languages = self.catalog.languages().iter();
        let ours = languages.filter(|it| pools.iter().any(|pool| pool.as_str() == it.pool));
        // A set, since several languages share an image.
        let images: BTreeSet<String> = ours.map(|language| language.image.clone()).collect();
        images.into_iter().collect()
    }

    /// Tells which languages this executor has until the stop, and watches what others have for as
    /// long as submissions are worked on.
    fn offer_languages(&self) {
        let (offers, boot, own) = (self.connection.offers(), self.boot, self.own_offers());
        let (watching, known, stop) = (offers.clone(), self.offers.clone(), self.shutdown.token());
        self.shutdown.spawn_vital("offers", async move {
            let _stopped: Option<Infallible> =
                stop.run_until_cancelled(offers.keep_putting(boot, own)).await;
        });
        self.spawn("offers of others", async move { match watching.watch(&known).await {} });
    }

    fn serve_health(&self, listener: TcpListener, metrics: Metrics) {
        let (connection, engine, cells) =
            (self.connection.clone(), self.engine.clone(), self.cells.clone());
        let (offers, own) = (self.offers.clone(), self.own_offers());
        let durability = self.durability.clone();
        let checks = HealthChecks::new()
            .with("queue", move || {
                let connection = connection.clone();
                async move { connection.ready().await.map_err(|error| error_chain(&error)) }
            })
            .with("durability", move || std::future::ready(durability.check()))
            .with("offers", move || {
                // Before that nothing is accepted that only this executor could run.
                let told = own.iter().all(|offer| offers.last_had(offer).is_some());
                let answer =
                    if told { Ok(()) } else { Err("its languages are not told yet".to_owned()) };
                std::future::ready(answer)
            })
            .with("docker", move || {
                let (engine, cells) = (engine.clone(), cells.clone());
                async move { docker_is_well(&engine, &cells).await }
            });
        let router = platform::http::middleware(health::router(&checks, metrics));
        let shutdown = self.shutdown.clone();
        self.shutdown.spawn_vital("http", async move {
            if let Err(error) = platform::http::serve(router, listener, &shutdown).await {
                warn!(error = &error as &dyn std::error::Error, "serving ended");
            }
        });
    }

    /// Starts everything, lets it work until the stop, and ends everything.
    async fn run_until_stopped(self) -> Result<(), ServiceError> {
        let stop = self.shutdown.token();
        let (jobs, hand_back) = (TaskTracker::new(), CancellationToken::new());
        // The stop may come while the start still waits for NATS or the engine.
        let started = stop.run_until_cancelled(self.start_parts(&jobs, &hand_back)).await;
        stop.cancelled().await;
        // Each consumer sees the stop at once, and hands back what the queue had sent it. No job
        // begins after that.
        let consumers = started.unwrap_or_default();
        if timeout(LEAVE_TIME_MAX, join_all(consumers)).await.is_err() {
            warn!("the queue was not left in time");
        }
        self.finish_or_hand_back(&jobs, &hand_back).await
    }

    /// Waits for the engine, and returns what it runs on.
    async fn wait_for_engine(&self) -> Machine {
        // An executor may start before its engine does, as after a restart of the machine.
        let ask = async || {
            self.engine.negotiate().await?;
            self.engine.machine().await
        };
        until_success(ask, "the engine is not there yet").await
    }

    /// Starts every part, in this order: an executor that takes submissions must answer for them
    /// already, or another one would take them over.
    async fn start_parts(
        &self,
        jobs: &TaskTracker,
        hand_back: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let machine = self.wait_for_engine().await;
        let deliveries = self.deliveries(machine.kernel.clone(), hand_back.clone());
        let held = &deliveries.held;
        let durability = self.durability.clone();
        // What runs goes on whatever the answer is: to stop would only lose it.
        self.spawn("durability", async move { match durability.keep_asking().await {} });
        let answering = answer_peers(self.connection.presence(), self.boot, held.clone()).await;
        self.spawn("presence", answering);
        self.offer_languages();
        let (room, config) = (self.outputs_room.clone(), self.config.room);
        let ledger = self.connection.ledger(Arc::new(SystemClock));
        self.spawn("room", room.watch(ledger, self.connection.objects(), config));
        self.spawn("reaper", self.remove_orphans_regularly());
        let cells = self.cells.get_or_init(|| self.fill_pool(&machine));
        if self.engine.is_local() {
            let lender = cells.clone();
            self.spawn("places", async move { lender.lend_idle_processors().await });
        }
        let consumers = self.lanes().into_iter().map(|(lane, pool)| {
            let presence = self.connection.presence();
            let cancellations = heed_cancellations(presence, lane, pool.clone(), held.clone());
            self.spawn("cancellations", cancellations);
            let deliveries = |priority| {
                let name = QueueName { lane, priority, pool: pool.clone() };
                // Each queue has its own ack wait.
                let in_force = AckWait::new(ACK_WAIT_MIN);
                let measuring = watch_queue(self.connection.queue(), name, in_force.clone());
                self.spawn("measure", measuring);
                DeliveryHandler { ack_wait: in_force, ..deliveries.clone() }
            };
            let intake = Intake {
                queue: self.connection.queue(),
                images: self.images(std::slice::from_ref(&pool)),
                normal: deliveries(Priority::Normal),
                surplus: deliveries(Priority::Surplus),
                lane: (lane, pool),
                cells: cells.clone(),
                jobs: jobs.clone(),
                stop: self.shutdown.token(),
            };
            self.shutdown.spawn_vital("consumer", intake.consume())
        });
        let consumers = consumers.collect();
        for pool in &self.config.executor.pools {
            let settler = self.settler(pool, cells, &deliveries, jobs);
            self.shutdown.spawn_vital("settler", settler.run());
        }
        info!(executor.boot = %self.boot, "executor started");
        consumers
    }

    /// Runs a task that the service cannot do without, until the last submission has ended here.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let after_jobs = self.after_jobs.clone();
        self.shutdown.spawn_vital(name, async move {
            // A vital task that ends earlier is reported by its name, and ends the service.
            after_jobs.run_until_cancelled_owned(task).await.unwrap_or(());
        });
    }

    fn lanes(&self) -> Vec<(Lane, PoolName)> {
        let executor = &self.config.executor;
        let pools = executor.pools.iter();
        pools.flat_map(|pool| executor.lanes.iter().map(|lane| (*lane, pool.clone()))).collect()
    }

    /// Removes what dead executors left: at once, then when the youngest containers may be judged,
    /// and then regularly.
    fn remove_orphans_regularly(&self) -> impl Future<Output = ()> + Send + 'static {
        let (peers, mut reaper) = (self.connection.presence(), self.reaper());
        async move {
            let first = [AGE_MIN; 2].into_iter();
            for pause in first.chain(repeat(REAP_EVERY)) {
                let now_s = SystemClock.now().timestamp();
                if let Err(error) = reaper.remove_orphans(now_s, &peers).await {
                    warn!(error = &error as &dyn std::error::Error, "orphans were not looked for");
                }
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn clean_up(&self) {
        let Some(cells) = self.cells.get() else { return };
        cells.close().await;
        // After the pool, which still removes what it knows of.
        if let Err(error) = self.reaper().remove_own().await {
            warn!(error = &error as &dyn std::error::Error, "containers may be left");
        }
    }

    /// Lets submissions end, hands back those that do not end in time, and leaves nothing on the
    /// engine.
    async fn finish_or_hand_back(
        self,
        jobs: &TaskTracker,
        hand_back: &CancellationToken,
    ) -> Result<(), ServiceError> {
        jobs.close();
        let grace = Duration::from_secs(u64::from(self.config.executor.shutdown_grace_s));
        let clean_by = Instant::now() + grace + HAND_BACK_TIME_MAX + CLEAN_UP_TIME_MAX;
        info!(submissions = jobs.len(), "finishing");
        if timeout(grace, jobs.wait()).await.is_err() {
            info!(submissions = jobs.len(), "handing back");
            hand_back.cancel();
            if timeout(HAND_BACK_TIME_MAX, jobs.wait()).await.is_err() {
                warn!(submissions = jobs.len(), "some submissions were not handed back");
            }
        }
        if timeout_at(clean_by, self.clean_up()).await.is_err() {
            warn!("some containers were not removed: another executor will");
        }
        self.after_jobs.cancel();
        // The connection last: tasks that end may still have something to say.
        let finished = self.shutdown.finish(END_TIME_MAX).await;
        self.connection.close().await;
        Ok(finished?)
    }
}

async fn docker_is_well(engine: &DockerEngine, cells: &OnceLock<Pool>) -> Result<(), String> {
    engine.ping().await.map_err(|error| error_chain(&error))?;
    let pool = cells.get().ok_or_else(|| "no cells are made yet".to_owned())?;
    pool.failure().map_or(Ok(()), Err)
}

/// Subscribes to the questions of other executors. Returns what answers them for as long as it
/// runs.
async fn answer_peers(
    presence: Presence,
    boot: BootId,
    held: HeldSubmissions,
) -> impl Future<Output = ()> + Send + 'static {
    let answer = || {
        let held = held.clone();
        presence.answer(boot, move |id| held.contains(id))
    };
    until_success(answer, "cannot answer presence requests yet").await
}
