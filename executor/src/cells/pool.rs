//! The pool of cells: hands out warm ones in an instant, each to one user and for one use. What
//! fills the shelves is the refiller, what removes used cells the remover.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::{Lane, PoolName};
use metrics::counter;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::idle_processors::ProcessorTimes;
use super::lease::Lease;
use super::maker::Maker;
use super::places::{Place, PlaceLimits, Places};
use super::refiller::Refiller;
use super::remover::Remover;
use super::source::{CellSource, LeasedCell};
use super::warm_cells::{Image, NoCellError, PoolSize, WarmCells};
use crate::metrics::CELLS_DIED_WARM;

/// How long a processor must be idle. A tick of the kernel is up to 10 ms long.
const MEASURED_FOR: Duration = Duration::from_millis(50);

/// A pool; clones are the same pool.
#[derive(Clone, Debug)]
pub struct Pool {
    cells: Arc<WarmCells>,
    maker: Arc<dyn Maker>,
    remover: Arc<Remover>,
    places: Arc<Places>,
    stop: CancellationToken,
}

impl Pool {
    /// Makes a pool and starts to fill it.
    pub fn start(
        maker: Arc<dyn Maker>,
        images: Vec<Image>,
        size: PoolSize,
        places: &PlaceLimits,
    ) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let cells = Arc::new(WarmCells::new(images, size));
        let remover = Remover::new(maker.clone(), cells.clone(), stop.clone(), tasks.clone());
        let pool = Self {
            cells,
            maker,
            remover: Arc::new(remover),
            places: Arc::new(Places::new(places)),
            stop,
        };
        let refiller = Refiller {
            cells: pool.cells.clone(),
            maker: pool.maker.clone(),
            remover: pool.remover.clone(),
            stop: pool.stop.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(refiller.keep_full());
        pool
    }

    /// Waits for a place for a lane and for a cell of each of these images, and keeps them for the
    /// caller.
    pub async fn reserve(
        &self,
        lane: &(Lane, PoolName),
        images: &[String],
    ) -> Result<Reservation, NoCellError> {
        let kept = Some(self.keep(lane, images).await?);
        Ok(Reservation { kept, ..self.unreserved(lane, images) })
    }

    /// Returns a reservation that keeps neither a place nor cells yet: its first cell is waited
    /// for.
    pub fn unreserved(&self, lane: &(Lane, PoolName), images: &[String]) -> Reservation {
        let (pool, lane, images) = (self.clone(), lane.clone(), images.to_vec());
        Reservation { pool, lane, images, kept: None, alone: false }
    }

    async fn keep(&self, lane: &(Lane, PoolName), images: &[String]) -> Result<Kept, NoCellError> {
        // The cells first: a place that waits for a cell would keep another submission from
        // running, which may need another image.
        let mut cells = BTreeMap::new();
        for image in images {
            cells.insert(image.clone(), self.cells.reserve(image).await?);
        }
        Ok(Kept { place: self.places.take(lane).await?, cells })
    }

    /// Lends the places of idle processors, for as long as this runs.
    pub async fn lend_idle_processors(&self) {
        loop {
            self.places.until_spare_is_wanted().await;
            let before = ProcessorTimes::read();
            sleep(MEASURED_FOR).await;
            let now = ProcessorTimes::read();
            let is_idle = now.zip(before).is_some_and(|(now, before)| now.has_idle_since(before));
            self.places.set_spare(is_idle);
        }
    }

    /// Tells how many cells of an image are warm.
    pub fn warm(&self, image: &str) -> usize {
        self.cells.count(image)
    }

    /// Tells why no cells can be made at present, if so.
    pub fn failure(&self) -> Option<String> {
        self.cells.failure()
    }

    /// Removes every container of this pool; returns when all are gone. Cells that are still in use
    /// are removed when their leases are dropped, and are waited for.
    pub async fn close(&self) {
        // The stop first: whatever wakes up because of the closed semaphores must see it.
        self.stop.cancel();
        self.places.close();
        self.remover.remove_all(self.cells.close()).await;
    }
}

/// A place to run and a warm cell of each image that may be asked for, kept for one submission.
/// Dropping it gives back what was not taken.
#[derive(Debug)]
pub struct Reservation {
    pool: Pool,
    lane: (Lane, PoolName),
    images: Vec<String>,
    kept: Option<Kept>,
    /// Whether nothing else may run beside it.
    alone: bool,
}

/// What is kept until a cell is taken.
#[derive(Debug)]
struct Kept {
    place: Place,
    cells: BTreeMap<String, OwnedSemaphorePermit>,
}

impl Reservation {
    /// Tells whether the place is the lane's own. Another one should not be kept for long without a
    /// submission.
    pub fn is_own(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.place.is_own())
    }

    /// Takes a cell of one image, for a submission that may use so much memory in bytes; those of
    /// other images go back. The first one is there at once unless it had died or memory is short,
    /// a further one has to be waited for.
    pub async fn lease(&mut self, image: &str, memory_bytes: u64) -> Result<Lease, NoCellError> {
        let pool = &self.pool;
        let mut kept = match self.kept.take() {
            Some(kept) => kept,
            None => pool.keep(&self.lane, &self.images).await?,
        };
        // By now the submission's image is known, so the cells of other images are free for others.
        let permit = kept.cells.remove(image);
        let mut permit = permit.ok_or_else(|| NoCellError::UnknownImage(image.to_owned()))?;
        drop(kept.cells);
        kept.place.begin();
        let memory_bytes = pool.maker.allowance().container_bytes(memory_bytes);
        let place = (kept.place, pool.places.make_room(memory_bytes, self.alone).await?);
        loop {
            // The permit stood for the cell that is about to leave the shelf.
            permit.forget();
            if let Some(mut warm) = pool.cells.take(image) {
                if warm.made.cell.is_waiting() {
                    let (maker, remover) = (pool.maker.clone(), pool.remover.clone());
                    return Ok(Lease::new(maker, remover, warm, pool.cells.tag(image), place));
                }
                // It died on its shelf, most likely with its engine. The submission does not
                // notice.
                warn!(image, "a warm cell has died");
                counter!(CELLS_DIED_WARM, "image" => image.to_owned()).increment(1);
                pool.remover.remove_used(warm);
            }
            permit = pool.cells.reserve(image).await?;
        }
    }
}

#[async_trait]
impl CellSource for Reservation {
    fn give_back(&mut self) {
        self.kept = None;
    }

    fn run_alone(&mut self) {
        self.alone = true;
    }

    async fn take_cell(
        &mut self,
        image: &str,
        memory_bytes: u64,
    ) -> Result<Box<dyn LeasedCell>, NoCellError> {
        Ok(Box::new(self.lease(image, memory_bytes).await?))
    }
}

#[cfg(test)]
mod tests;
