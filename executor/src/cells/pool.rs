//! The pool of warm cells: takes them off a shelf in an instant, refills the shelf behind the caller's back, and removes
//! used ones off the answer's path. Each cell is used once. Knows nothing of what runs in them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::demand::{Demand, is_due};
use super::engine::ContainerId;
use super::lease::{Lease, Reservation};
use super::maker::{Made, MakeError, Maker};
use super::slot::{Slot, Slots};
use crate::config::PoolSize;
use crate::metrics::{CELL_START_SECONDS, CELLS_DIED_WARM, CELLS_FAILED, CELLS_MADE, CELLS_WARM};

/// How often warm cells are looked at, and demand with them.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Cells that are removed at the same time.
const REMOVERS: usize = 2;
/// The first and the longest wait after a failure of the engine.
const RETRY_WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

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
    size: PoolSize,
    images: BTreeMap<String, Image>,
    state: Mutex<State>,
    /// One permit for each submission that may run.
    busy: Arc<Semaphore>,
    /// One permit for each warm cell, by image.
    ready: BTreeMap<String, Arc<Semaphore>>,
    removers: Semaphore,
    wake: Notify,
    stop: CancellationToken,
    tasks: TaskTracker,
    runtime: Handle,
}

#[derive(Debug)]
struct State {
    shelves: BTreeMap<String, Shelf>,
    slots: Slots,
    making: usize,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Shelf {
    warm: VecDeque<Warm>,
    making: usize,
    demand: Demand,
}

/// The engine has failed, and is left in peace for a while.
#[derive(Debug)]
struct Trouble {
    what: String,
    wait: Duration,
    until: Instant,
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
        let shelved: Vec<Warm> =
            inner.lock().shelves.values_mut().flat_map(|shelf| shelf.warm.drain(..)).collect();
        for warm in shelved {
            Inner::discard(inner, warm.made.id, warm.slot);
        }
        inner.tasks.close();
        inner.tasks.wait().await;
        let holders = inner.lock().slots.take_holders();
        futures::future::join_all(holders.iter().map(|holder| inner.remove(holder))).await;
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
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a cell in the background, and frees its slot when it is gone.
    pub(super) fn discard(inner: &Arc<Self>, id: ContainerId, slot: Slot) {
        let owned = inner.clone();
        let removal = async move {
            let permit = owned.removers.acquire().await;
            owned.remove(&id).await;
            drop(permit);
            owned.lock().slots.give_back(slot);
            owned.wake.notify_one();
        };
        inner.tasks.spawn_on(removal, &inner.runtime);
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

    /// The image that needs a cell most, if one is due and there is a slot for it.
    fn next_to_make(&self) -> Option<(Image, Slot)> {
        let mut state = self.lock();
        let quiet = state.trouble.as_ref().is_some_and(|trouble| Instant::now() < trouble.until);
        if quiet || state.making >= self.size.refillers || self.stop.is_cancelled() {
            return None;
        }
        let busy = self.size.busy_max - self.busy.available_permits().min(self.size.busy_max);
        let stock = |shelf: &Shelf| shelf.warm.len() + shelf.making;
        let due = |shelf: &Shelf| is_due(stock(shelf), shelf.demand.target(), busy);
        let missing = |shelf: &Shelf| shelf.demand.target() - stock(shelf);
        let needy = state.shelves.iter().filter(|(_, shelf)| due(shelf));
        let name = needy.max_by_key(|(_, shelf)| missing(shelf)).map(|(name, _)| name.clone())?;
        let slot = state.slots.take()?;
        state.making += 1;
        if let Some(shelf) = state.shelves.get_mut(&name) {
            shelf.making += 1;
        }
        Some((self.images.get(&name)?.clone(), slot))
    }

    /// Makes one cell and puts it on its shelf.
    async fn make(inner: Arc<Self>, image: Image, mut slot: Slot) {
        let started_at = Instant::now();
        let made = inner.maker.make(&image.tag, &mut slot).await;
        match made {
            Ok(made) => {
                histogram!(CELL_START_SECONDS).record(started_at.elapsed());
                counter!(CELLS_MADE, "image" => image.name.clone()).increment(1);
                Self::shelve(&inner, &image.name, Warm { made, slot });
            }
            Err(error) => inner.failed(&image, slot, &error).await,
        }
        inner.wake.notify_one();
    }

    fn shelve(inner: &Arc<Self>, image: &str, warm: Warm) {
        let mut state = inner.lock();
        state.done_making(image);
        if state.trouble.take().is_some() {
            info!("cells can be made again");
        }
        let shelf = state.shelves.get_mut(image).filter(|_| !inner.stop.is_cancelled());
        let Some(shelf) = shelf else {
            drop(state);
            return Self::discard(inner, warm.made.id, warm.slot);
        };
        shelf.warm.push_back(warm);
        let count = shelf.warm.len();
        drop(state);
        gauge!(CELLS_WARM, "image" => image.to_owned()).set(f64_of(count));
        if let Some(ready) = inner.ready.get(image) {
            ready.add_permits(1);
        }
    }

    async fn failed(&self, image: &Image, mut slot: Slot, error: &MakeError) {
        counter!(CELLS_FAILED, "image" => image.name.clone()).increment(1);
        // The holder may be what is broken. The next try makes another.
        if let Some(holder) = slot.holder.take()
            && let Err(error) = self.maker.remove(&holder).await
        {
            warn!(error = &error as &dyn std::error::Error, "a holder could not be removed");
        }
        let mut state = self.lock();
        state.done_making(&image.name);
        state.slots.give_back(slot);
        let (first, longest) = RETRY_WAIT;
        let wait = state.trouble.as_ref().map_or(first, |before| (before.wait * 2).min(longest));
        if state.trouble.is_none() {
            error!(
                error = error as &dyn std::error::Error,
                image.tag = image.tag,
                "cells cannot be made"
            );
        }
        let what = format!("{}: {}", image.tag, chain(error));
        state.trouble = Some(Trouble { what, wait, until: Instant::now() + wait });
    }

    /// Removes warm cells that have died or are too many by now.
    fn look_at_shelves(inner: &Arc<Self>) {
        let now = Instant::now();
        let images: Vec<String> = inner.images.keys().cloned().collect();
        for image in &images {
            while let Some(warm) = inner.take_unfit(image, now) {
                Self::discard(inner, warm.made.id, warm.slot);
            }
        }
    }

    /// A dead cell, or one above the target, that nobody has reserved.
    fn take_unfit(&self, image: &str, now: Instant) -> Option<Warm> {
        // A reserved cell is left to its taker, who looks for himself.
        let permit = self.ready.get(image)?.try_acquire().ok()?;
        let mut state = self.lock();
        let shelf = state.shelves.get_mut(image)?;
        shelf.demand.tick(now);
        let dead = shelf.warm.iter_mut().position(|warm| !warm.made.cell.is_waiting());
        let surplus = (shelf.warm.len() > shelf.demand.target()).then_some(0);
        let unfit = shelf.warm.remove(dead.or(surplus)?);
        drop(state);
        permit.forget();
        if dead.is_some() {
            counter!(CELLS_DIED_WARM, "image" => image.to_owned()).increment(1);
        }
        unfit
    }
}

impl State {
    fn done_making(&mut self, image: &str) {
        self.making -= 1;
        if let Some(shelf) = self.shelves.get_mut(image) {
            shelf.making -= 1;
        }
    }

    /// When trouble may be tried again.
    fn retry_at(&self) -> Option<Instant> {
        self.trouble.as_ref().map(|trouble| trouble.until)
    }
}

/// Keeps the shelves full until the pool is closed.
async fn keep_full(inner: Arc<Inner>) {
    let mut look_at = Instant::now() + LOOK_EVERY;
    while !inner.stop.is_cancelled() {
        while let Some((image, slot)) = inner.next_to_make() {
            inner.tasks.spawn_on(Inner::make(inner.clone(), image, slot), &inner.runtime);
        }
        let retry_at = inner.lock().retry_at().filter(|at| *at > Instant::now());
        let until = retry_at.map_or(look_at, |at| at.min(look_at));
        tokio::select! {
            () = inner.wake.notified() => {}
            () = inner.stop.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
        }
        if Instant::now() >= look_at {
            Inner::look_at_shelves(&inner);
            look_at = Instant::now() + LOOK_EVERY;
        }
    }
}

/// An error with all its causes, for the health check.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "there are at most hundreds of cells")]
fn f64_of(count: usize) -> f64 {
    count as f64
}
