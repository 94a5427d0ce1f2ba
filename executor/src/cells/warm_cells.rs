//! The warm cells: a shelf of them for each image, the slots that cells live in, and the engine's
//! last failure. One lock guards all of it and is held for moments only: nothing in here waits for
//! the engine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backon::{BackoffBuilder, ExponentialBackoff};
use events::{Lane, PoolName};
use metrics::gauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::info;

use super::demand::{Demand, is_due};
use super::engine::ContainerId;
use super::maker::MadeCell;
use super::slot::{Slot, Slots};
use crate::metrics::{CELLS_STUCK, CELLS_WARM, gauge_value};
use crate::waits::{next_wait, until_engine_works};

/// An image of languages.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name there.
    pub name: String,
    /// Its tag on the engine.
    pub tag: String,
}

/// How many cells there are, resolved for this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Warm cells of each image at least.
    pub warm_min: usize,
    /// Warm cells of each image at most.
    pub warm_max: usize,
    /// Cells that are made at the same time.
    pub refillers: usize,
}

/// There is no cell, and there will be none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoCellError {
    /// The executor stops.
    #[error("the pool is closed")]
    Closed,
    /// Nothing is taken from this lane of a pool here.
    #[error("lane {0} of pool {1} has no place here")]
    UnknownLane(Lane, PoolName),
    /// No cells of this image are kept here.
    #[error("there are no cells of image {0:?} here")]
    UnknownImage(String),
}

/// A cell that waits to be used.
#[derive(Debug)]
pub(super) struct WarmCell {
    pub(super) made: MadeCell,
    pub(super) slot: Slot,
}

#[derive(Debug)]
pub(super) struct WarmCells {
    images: BTreeMap<String, Image>,
    /// Cells that may be made at the same time.
    making_max: usize,
    /// One permit for each warm cell, by image. A semaphore is fair: who waits longest gets the
    /// next one.
    permits: BTreeMap<String, Arc<Semaphore>>,
    stock: Mutex<Stock>,
    changed: Notify,
}

#[derive(Debug)]
struct Stock {
    shelves: BTreeMap<String, Shelf>,
    slots: Slots,
    making: usize,
    /// Cells that have left their shelf and are not being removed yet.
    in_use: usize,
    failure: Option<MakingFailure>,
    /// Containers that the engine refuses to remove, and why. Their slots stay taken.
    stuck: BTreeMap<ContainerId, String>,
    closed: bool,
}

/// The warm cells of one image.
#[derive(Debug)]
struct Shelf {
    warm: VecDeque<WarmCell>,
    making: usize,
    demand: Demand,
}

/// The engine failed to make a cell, and is left in peace until the next try.
#[derive(Debug)]
struct MakingFailure {
    cause: String,
    waits: ExponentialBackoff,
    retry_at: Instant,
}

impl WarmCells {
    pub(super) fn new(images: Vec<Image>, size: PoolSize) -> Self {
        let now = Instant::now();
        let shelf = || Shelf {
            warm: VecDeque::new(),
            making: 0,
            demand: Demand::new(size.warm_min, size.warm_max, now),
        };
        let names = || images.iter().map(|image| image.name.clone());
        Self {
            making_max: size.refillers,
            permits: names().map(|name| (name, Arc::new(Semaphore::new(0)))).collect(),
            stock: Mutex::new(Stock {
                shelves: names().map(|name| (name, shelf())).collect(),
                slots: Slots::default(),
                making: 0,
                in_use: 0,
                failure: None,
                stuck: BTreeMap::new(),
                closed: false,
            }),
            changed: Notify::new(),
            images: images.into_iter().map(|image| (image.name.clone(), image)).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stock> {
        // No code below can panic half way through a change, so the stock is whole even then.
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the tag that an image has on the engine.
    pub(super) fn tag(&self, image: &str) -> String {
        self.images.get(image).map_or_else(String::new, |image| image.tag.clone())
    }

    /// Waits until a cell of an image is warm, and keeps it for the caller. The cell leaves the
    /// shelf with [`WarmCells::take`], for which the permit must be forgotten; a permit that is
    /// dropped gives the cell back.
    pub(super) async fn reserve(&self, image: &str) -> Result<OwnedSemaphorePermit, NoCellError> {
        let permits = self.permits.get(image);
        let permits = permits.ok_or_else(|| NoCellError::UnknownImage(image.to_owned()))?;
        let permit = permits.clone().acquire_owned().await.map_err(|_closed| NoCellError::Closed);
        self.changed.notify_one();
        permit
    }

    /// Takes the cell that a permit stands for. There is none once the shelves are closed.
    pub(super) fn take(&self, image: &str) -> Option<WarmCell> {
        let mut stock = self.lock();
        let shelf = stock.shelves.get_mut(image)?;
        let taken = shelf.warm.pop_front();
        let left = shelf.warm.len();
        shelf.demand.taken(left, Instant::now());
        stock.in_use += usize::from(taken.is_some());
        drop(stock);
        gauge!(CELLS_WARM, "image" => image.to_owned()).set(gauge_value(left));
        self.changed.notify_one();
        taken
    }

    /// Says that a cell that was taken is no longer in use.
    pub(super) fn end_use(&self) {
        self.lock().in_use -= 1;
    }

    /// Tells how many cells of an image are warm.
    pub(super) fn count(&self, image: &str) -> usize {
        self.lock().shelves.get(image).map_or(0, |shelf| shelf.warm.len())
    }

    /// Tells why no cells can be made at present or used ones not removed, if so.
    pub(super) fn failure(&self) -> Option<String> {
        let stock = self.lock();
        let making = stock.failure.as_ref().map(|failure| failure.cause.clone());
        let (count, stuck) = (stock.stuck.len(), stock.stuck.values().next());
        making.or_else(|| stuck.map(|why| format!("{count} containers cannot be removed: {why}")))
    }

    /// Takes note that the engine refuses to remove a container.
    pub(super) fn record_stuck(&self, id: &ContainerId, why: String) {
        self.set_stuck(|stuck| drop(stuck.insert(id.clone(), why)));
    }

    /// Says that a container is gone, or is left to another executor.
    pub(super) fn forget_stuck(&self, id: &ContainerId) {
        self.set_stuck(|stuck| drop(stuck.remove(id)));
    }

    fn set_stuck(&self, change: impl FnOnce(&mut BTreeMap<ContainerId, String>)) {
        let mut stock = self.lock();
        change(&mut stock.stuck);
        let count = stock.stuck.len();
        drop(stock);
        gauge!(CELLS_STUCK).set(gauge_value(count));
    }

    /// Returns when a cell may be made again after a failure, if that is still to come.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        let retry_at = self.lock().failure.as_ref().map(|failure| failure.retry_at);
        retry_at.filter(|at| *at > Instant::now())
    }

    /// Waits until a cell may have become due: one was taken, or a slot is free again.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns the image that needs a cell most, if one is due, and a slot for it. It must come
    /// back by [`WarmCells::put`] or [`WarmCells::record_failure`].
    pub(super) fn next_to_make(&self) -> Option<(Image, Slot)> {
        let mut stock = self.lock();
        let waits = stock.failure.as_ref().is_some_and(|it| Instant::now() < it.retry_at);
        if waits || stock.making >= self.making_max || stock.closed {
            return None;
        }
        let busy = stock.in_use;
        let counts = stock.shelves.iter().map(|(name, shelf)| {
            (name, self.unreserved(name) + shelf.making, shelf.demand.target())
        });
        let needy = counts.filter(|(_, count, target)| is_due(*count, *target, busy));
        let neediest = needy.max_by_key(|(_, count, target)| target - count);
        let name = neediest.map(|(name, ..)| name.clone())?;
        let slot = stock.slots.take()?;
        stock.making += 1;
        if let Some(shelf) = stock.shelves.get_mut(&name) {
            shelf.making += 1;
        }
        Some((self.images.get(&name)?.clone(), slot))
    }

    /// Puts a cell that was made on its shelf. Returns the cell if the shelves were closed
    /// meanwhile.
    pub(super) fn put(&self, image: &str, cell: WarmCell) -> Option<WarmCell> {
        let mut stock = self.lock();
        stock.end_making(image);
        if stock.failure.take().is_some() {
            info!("cells can be made again");
        }
        let is_open = !stock.closed;
        let Some(shelf) = stock.shelves.get_mut(image).filter(|_| is_open) else {
            return Some(cell);
        };
        shelf.warm.push_back(cell);
        let count = shelf.warm.len();
        drop(stock);
        gauge!(CELLS_WARM, "image" => image.to_owned()).set(gauge_value(count));
        // After the cell is on its shelf: the permit stands for it, and is taken by a waiter at
        // once.
        if let Some(permits) = self.permits.get(image) {
            permits.add_permits(1);
        }
        self.changed.notify_one();
        None
    }

    /// Takes note that a cell could not be made. Tells whether that is the first failure in a row.
    pub(super) fn record_failure(&self, image: &Image, slot: Slot, cause: String) -> bool {
        let mut stock = self.lock();
        stock.end_making(&image.name);
        stock.slots.give_back(slot);
        let before = stock.failure.take();
        let is_first = before.is_none();
        let mut waits = before.map_or_else(|| until_engine_works().build(), |before| before.waits);
        let retry_at = Instant::now() + next_wait(&mut waits);
        stock.failure = Some(MakingFailure { cause, waits, retry_at });
        drop(stock);
        self.changed.notify_one();
        is_first
    }

    /// Takes back the slot of a cell that is gone.
    pub(super) fn give_back(&self, slot: Slot) {
        self.lock().slots.give_back(slot);
        self.changed.notify_one();
    }

    /// Takes a cell of an image off its shelf that has died there, or is one too many by now. Tells
    /// whether it died.
    pub(super) fn take_unfit(&self, image: &str, now: Instant) -> Option<(WarmCell, bool)> {
        // A reserved cell has no permit left here, and its submission looks at it before using it.
        let permit = self.permits.get(image)?.try_acquire().ok()?;
        let mut stock = self.lock();
        let shelf = stock.shelves.get_mut(image)?;
        shelf.demand.tick(now);
        let dead = shelf.warm.iter_mut().position(|warm| !warm.made.cell.is_waiting());
        // A dead cell goes first, since it is of no use to the next submission.
        let surplus = (self.unreserved(image) + 1 > shelf.demand.target()).then_some(0);
        let unfit = shelf.warm.remove(dead.or(surplus)?)?;
        permit.forget();
        Some((unfit, dead.is_some()))
    }

    /// Returns how many cells of an image are warm and not kept for a submission. A cell that a
    /// queue waits with cannot serve another queue, so it does not count.
    fn unreserved(&self, image: &str) -> usize {
        self.permits.get(image).map_or(0, |permits| permits.available_permits())
    }

    /// Returns the names of all images.
    pub(super) fn images(&self) -> impl Iterator<Item = &str> {
        self.images.keys().map(String::as_str)
    }

    /// Closes the shelves and empties them. From then on no wait for a cell goes on and no cell is
    /// put on a shelf.
    pub(super) fn close(&self) -> Vec<WarmCell> {
        self.permits.values().for_each(|permits| permits.close());
        let mut stock = self.lock();
        stock.closed = true;
        stock.shelves.values_mut().flat_map(|shelf| shelf.warm.drain(..)).collect()
    }

    /// Takes the holders of all slots that no cell uses.
    pub(super) fn take_idle_holders(&self) -> Vec<ContainerId> {
        self.lock().slots.take_holders()
    }
}

impl Stock {
    fn end_making(&mut self, image: &str) {
        self.making -= 1;
        if let Some(shelf) = self.shelves.get_mut(image) {
            shelf.making -= 1;
        }
    }
}
