//! What each part of the executor is made of, by its configuration.

use std::sync::Arc;
use std::time::Duration;

use events::{ExecutorName, PoolName};
use ledger::LanguageOffer;
use platform::clock::SystemClock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::{
    ACK_WAIT_MIN, AckWait, AttemptSettings, DeliveryHandler, ExecutorContext, ExecutorIdentity,
    HeldSubmissions,
};
use crate::cells::container_flags::Owner;
use crate::cells::engine::Machine;
use crate::cells::maker::DockerMaker;
use crate::cells::pool::Pool;
use crate::cells::reaper::Reaper;
use crate::cells::warm_cells::Image;
use crate::machine::cpu_model;
use crate::settler::{PoolPorts, Settler};

use super::ExecutorService;

impl ExecutorService {
    /// Returns what this executor has.
    pub(super) fn own_offers(&self) -> Vec<LanguageOffer> {
        let languages = self.catalog.languages().iter();
        let offers = languages.filter_map(|language| {
            let pool = self.config.executor.pools.iter().find(|it| it.as_str() == language.pool)?;
            Some(LanguageOffer {
                slug: language.slug.parse().expect("the catalog checks every slug"),
                version: language.version.clone(),
                pool: pool.clone(),
            })
        });
        offers.collect()
    }

    pub(super) fn settler(
        &self,
        pool: &PoolName,
        cells: &Pool,
        deliveries: &DeliveryHandler,
        jobs: &TaskTracker,
    ) -> Settler {
        let key = format!("settler.{pool}");
        let ports = PoolPorts {
            leadership: self.connection.leadership(key, self.boot.to_string()),
            queue: self.connection.queue(),
            pool: pool.clone(),
            cells: cells.clone(),
            lanes: self.config.executor.lanes.clone(),
            images: self.images(std::slice::from_ref(pool)),
        };
        Settler {
            pool: pool.clone(),
            settle_after: Duration::from_secs(self.config.executor.settle_after_s.get().into()),
            ports: Arc::new(ports),
            deliveries: deliveries.clone(),
            jobs: jobs.clone(),
            stop: self.shutdown.token(),
        }
    }

    pub(super) fn fill_pool(&self, machine: &Machine) -> Pool {
        let config = &self.config;
        let names = self.images(&config.executor.pools).into_iter();
        let images = names.map(|name| Image { tag: config.cells.tag(&name), name }).collect();
        let owner = Owner {
            host: config.host_label(),
            executor: config.executor.name.clone(),
            boot: self.boot,
        };
        let maker = DockerMaker::new(self.engine.clone(), config.cells.allowance(), owner);
        let places = config.cells.places(machine, self.lanes());
        Pool::start(Arc::new(maker), images, config.cells.size(machine.processors), &places)
    }

    pub(super) fn deliveries(
        &self,
        kernel: String,
        hand_back: CancellationToken,
    ) -> DeliveryHandler {
        let executor = &self.config.executor;
        let name: ExecutorName = executor.name.clone();
        let context = ExecutorContext {
            ledger: self.connection.ledger(Arc::new(SystemClock)),
            objects: self.connection.objects(),
            outputs_room: self.outputs_room.clone(),
            peers: Arc::new(self.connection.presence()),
            absent: Arc::default(),
            catalog: self.catalog.clone(),
            offers: self.offers.clone(),
            clock: Arc::new(SystemClock),
            identity: ExecutorIdentity { name, boot: self.boot, kernel, cpu_model: cpu_model() },
            settings: AttemptSettings {
                attempts_max: executor.attempts_max.get(),
                not_here_max: Duration::from_hours(executor.not_here_hours_max.get().into()),
                newer_version_after: executor.newer_version_after_s.get(),
            },
        };
        let ack_wait = AckWait::new(ACK_WAIT_MIN);
        DeliveryHandler { context, ack_wait, held: HeldSubmissions::default(), hand_back }
    }

    pub(super) fn reaper(&self) -> Reaper {
        Reaper::new(self.engine.clone(), self.config.host_label(), self.boot)
    }
}
