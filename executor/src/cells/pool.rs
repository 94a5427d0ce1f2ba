//! The pool of warm cells: hands them out in an instant and removes used ones off the answer's path. Each cell is used
//! once. How the shelves are filled is `refill`'s affair; nobody here knows what runs in a cell.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use metrics::{counter, gauge};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::demand::Demand;
use super::engine::ContainerId;
use super::lease::{Lease, Reservation};
use super::maker::{Made, Maker};
use super::refill::keep_full;
use super::slot::{Slot, Slots};
use crate::config::PoolSize;
use crate::metrics::{CELLS_DIED_WARM, CELLS_WARM};

/// Cells that are removed at the same time.
const REMOVERS: usize = 2;
/// Cells that are removed at the same time besides, when the pool is closed and nothing else runs.
const REMOVERS_AT_CLOSE: usize = 14;
/// How long a used cell is left alone: its answer is still on its way, and removing a container takes a processor for as
/// long as that takes.
const REST: Duration = Duration::from_millis(20);
/// The first and the longest wait after a failure of the engine.
pub(super) const RETRY_WAIT: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_secs(10));

/// An image of languages.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name there.
    pub name: String,
    /// Its tag on the engine.
    pub tag: String,
}

/// The pool is closed, or never had cells of that image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PoolError {
    /// The executor stops.
    #[error("the pool is closed")]
    Closed,
    /// No cells of this image are kept here.
    #[error("there are no cells of image {0:?} here")]
    UnknownImage(String),
}

/// A pool; clones are the same pool.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) maker: Arc<dyn Maker>,
    pub(super) size: PoolSize,
    pub(super) images: BTreeMap<String, Image>,
    state: Mutex<State>,
    /// One permit for each submission that may run.
    busy: Arc<Semaphore>,
    /// Cells in use. Fewer than places taken: a queue that waits has taken one, too.
    pub(super) in_use: AtomicUsize,
    /// One permit for each warm cell, by image.
    pub(super) ready: BTreeMap<String, Arc<Semaphore>>,
    removers: Semaphore,
    pub(super) wake: Notify,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) runtime: Handle,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) shelves: BTreeMap<String, Shelf>,
    pub(super) slots: Slots,
    pub(super) making: usize,
    pub(super) trouble: Option<Trouble>,
}

/// The warm cells of an image.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) warm: VecDeque<Warm>,
    pub(super) making: usize,
    pub(super) demand: Demand,
}

/// The engine has failed, and is left in peace for a while.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) wait: Duration,
    pub(super) until: Instant,
}

/// A cell that waits to be used.
#[derive(Debug)]
pub(super) struct Warm {
    pub(super) made: Made,
    pub(super) slot: Slot,
}

impl Pool {
    /// Makes a pool and starts to fill it.
    pub fn start(maker: Arc<dyn Maker>, images: Vec<Image>, size: PoolSize) -> Self {
        let now = Instant::now();
        let shelf = || Shelf {
            warm: VecDeque::new(),
            making: 0,
            demand: Demand::new(size.warm_min, size.warm_max, now),
        };
        let names = || images.iter().map(|image| image.name.clone());
        let inner = Arc::new(Inner {
            maker,
            size,
            state: Mutex::new(State {
                shelves: names().map(|name| (name, shelf())).collect(),
                slots: Slots::default(),
                making: 0,
                trouble: None,
            }),
            busy: Arc::new(Semaphore::new(size.busy_max)),
            in_use: AtomicUsize::new(0),
            ready: names().map(|name| (name, Arc::new(Semaphore::new(0)))).collect(),
            images: images.into_iter().map(|image| (image.name.clone(), image)).collect(),
            removers: Semaphore::new(REMOVERS),
            wake: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        });
        inner.tasks.spawn_on(keep_full(inner.clone()), &inner.runtime);
        Self(inner)
    }

    /// Waits for a place and for a cell of each of these images, and keeps them for the caller.
    pub async fn reserve(&self, images: &[String]) -> Result<Reservation, PoolError> {
        // The cells first: a place that waits for a cell would keep others from running.
        let mut ready = BTreeMap::new();
        for image in images {
            let shelf = self.0.ready.get(image);
            let shelf = shelf.ok_or_else(|| PoolError::UnknownImage(image.clone()))?;
            let permit =
                shelf.clone().acquire_owned().await.map_err(|_closed| PoolError::Closed)?;
            ready.insert(image.clone(), permit);
        }
        let busy =
            self.0.busy.clone().acquire_owned().await.map_err(|_closed| PoolError::Closed)?;
        Ok(Reservation { pool: self.clone(), busy, ready })
    }

    /// Tells how many cells of an image are warm.
    pub fn warm(&self, image: &str) -> usize {
        self.0.lock().shelves.get(image).map_or(0, |shelf| shelf.warm.len())
    }

    /// Tells why no cells can be made at present, if so.
    pub fn trouble(&self) -> Option<String> {
        self.0.lock().trouble.as_ref().map(|trouble| trouble.what.clone())
    }

    /// Removes every container of this pool; returns when all are gone. Leases that are still out are removed when they
    /// are dropped, and are waited for.
    pub async fn close(&self) {
        let inner = &self.0;
        inner.stop.cancel();
        inner.busy.close();
        inner.ready.values().for_each(|shelf| shelf.close());
        inner.removers.add_permits(REMOVERS_AT_CLOSE);
        let shelved: Vec<Warm> =
            inner.lock().shelves.values_mut().flat_map(|shelf| shelf.warm.drain(..)).collect();
        for warm in shelved {
            Inner::discard(inner, warm.made.id, warm.slot);
        }
        inner.remove_idle_holders().await;
        inner.tasks.close();
        inner.tasks.wait().await;
        // Those of cells that were still being made when the pool was closed.
        inner.remove_idle_holders().await;
    }

    /// Takes a warm cell that a permit stands for; nothing if it had died on the shelf.
    pub(super) fn pop(&self, image: &str) -> Option<Warm> {
        let mut state = self.0.lock();
        let shelf = state.shelves.get_mut(image)?;
        let popped = shelf.warm.pop_front();
        let left = shelf.warm.len();
        shelf.demand.taken(left, Instant::now());
        drop(state);
        gauge!(CELLS_WARM, "image" => image.to_owned()).set(f64_of(left));
        self.0.wake.notify_one();
        let mut warm = popped?;
        if warm.made.cell.is_waiting() {
            return Some(warm);
        }
        self.bury(image, warm);
        None
    }

    /// Takes another permit for a cell of an image whose last one was dead.
    pub(super) async fn another(&self, image: &str) -> Result<(), PoolError> {
        let shelf = self.0.ready.get(image);
        let shelf = shelf.ok_or_else(|| PoolError::UnknownImage(image.to_owned()))?;
        shelf.acquire().await.map_err(|_closed| PoolError::Closed)?.forget();
        Ok(())
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Makes a lease of a warm cell.
    pub(super) fn lease(
        &self,
        warm: Warm,
        image: &str,
        busy: tokio::sync::OwnedSemaphorePermit,
    ) -> Lease {
        let tag = self.0.images.get(image).map_or_else(String::new, |image| image.tag.clone());
        Lease::new(self.clone(), warm, tag, busy)
    }

    fn bury(&self, image: &str, warm: Warm) {
        warn!(image, "a warm cell has died");
        counter!(CELLS_DIED_WARM, "image" => image.to_owned()).increment(1);
        Inner::discard(&self.0, warm.made.id, warm.slot);
    }
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a cell in the background, and frees its slot when it is gone.
    pub(super) fn discard(inner: &Arc<Self>, id: ContainerId, slot: Slot) {
        let owned = inner.clone();
        let removal = async move {
            drop(tokio::time::timeout(REST, owned.stop.cancelled()).await);
            let permit = owned.removers.acquire().await;
            owned.remove(&id).await;
            drop(permit);
            owned.free(slot).await;
        };
        inner.tasks.spawn_on(removal, &inner.runtime);
    }

    /// Takes back the slot of a cell that is gone. Once the pool is closed nobody will need its holder any more.
    async fn free(&self, mut slot: Slot) {
        if self.stop.is_cancelled()
            && let Some(holder) = slot.holder.take()
        {
            self.remove(&holder).await;
        }
        self.lock().slots.give_back(slot);
        self.wake.notify_one();
    }

    async fn remove_idle_holders(&self) {
        let holders = self.lock().slots.take_holders();
        join_all(holders.iter().map(|holder| self.remove(holder))).await;
    }

    /// Removes a container, and tries again until it is gone; at the end once more and no longer.
    async fn remove(&self, id: &ContainerId) {
        let (mut wait, longest) = RETRY_WAIT;
        loop {
            let stopped = self.stop.is_cancelled();
            let Err(error) = self.maker.remove(id).await else { return };
            warn!(error = &error as &dyn std::error::Error, "a container could not be removed");
            if stopped {
                return;
            }
            drop(tokio::time::timeout(wait, self.stop.cancelled()).await);
            wait = (wait * 2).min(longest);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are at most hundreds of cells")]
pub(super) fn f64_of(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
