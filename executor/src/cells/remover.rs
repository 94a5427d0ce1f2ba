//! Removing used cells off the answer's path, a few at a time, until they are gone.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use futures::future::join_all;
use platform::telemetry::error_chain;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::engine::ContainerId;
use super::maker::{MadeCell, Maker};
use super::slot::Slot;
use super::warm_cells::{WarmCell, WarmCells};
use crate::waits::until_engine_works;

/// Cells that are removed at the same time: each takes most of a processor, which programs need.
const AT_ONCE: usize = 2;
/// Further cells that are removed at the same time when the pool is closed and no program runs.
const AT_ONCE_AT_CLOSE: usize = 14;
/// Tries to remove a container that are only logged: an engine under load often needs a few.
const TRIES_UNTOLD: u32 = 5;
/// How long a used cell is left alone: its answer is still on its way to the client, and removing a
/// container at once would take the processor from it.
const REST: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Remover {
    maker: Arc<dyn Maker>,
    cells: Arc<WarmCells>,
    at_once: Semaphore,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Where removals run: a lease may be dropped by a thread that has no runtime of its own.
    runtime: Handle,
}

impl Remover {
    pub(super) fn new(
        maker: Arc<dyn Maker>,
        cells: Arc<WarmCells>,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let at_once = Semaphore::new(AT_ONCE);
        Self { maker, cells, at_once, stop, tasks, runtime: Handle::current() }
    }

    /// Removes a cell that was taken from its shelf, as [`Remover::remove_later`] does.
    pub(super) fn remove_used(self: &Arc<Self>, cell: WarmCell) {
        self.cells.end_use();
        self.remove_later(cell);
    }

    /// Ends a cell, removes its container in the background, and frees its slot when the container
    /// is gone.
    pub(super) fn remove_later(self: &Arc<Self>, cell: WarmCell) {
        let WarmCell { made: MadeCell { id, image_id: _, cell }, slot } = cell;
        // The pipe ends at once, and with it whatever runs in the cell.
        drop(cell);
        let remover = self.clone();
        let removal = async move {
            drop(timeout(REST, remover.stop.cancelled()).await);
            remover.remove(&id).await;
            remover.free(slot).await;
        };
        self.tasks.spawn_on(removal, &self.runtime);
    }

    async fn free(&self, mut slot: Slot) {
        // Once the pool is closed no cell will need the holder any more.
        if self.stop.is_cancelled()
            && let Some(holder) = slot.holder.take()
        {
            self.remove(&holder).await;
        }
        self.cells.give_back(slot);
    }

    /// Removes a container, and tries again until it is gone; after the stop once more and no
    /// longer.
    async fn remove(&self, id: &ContainerId) {
        let mut tries = 0;
        for wait in until_engine_works().build() {
            // Looked at before the try, so that one whole try follows the stop.
            let stopped = self.stop.is_cancelled();
            let permit = self.at_once.acquire().await;
            let removed = self.maker.remove(id).await;
            // Others are removed between the tries: the engine may refuse this one for good.
            drop(permit);
            let Err(error) = removed else { break };
            warn!(error = &error as &dyn Error, "a container could not be removed");
            if stopped {
                break;
            }
            tries += 1;
            if tries >= TRIES_UNTOLD {
                self.cells.record_stuck(id, error_chain(&error));
            }
            drop(timeout(wait, self.stop.cancelled()).await);
        }
        self.cells.forget_stuck(id);
    }

    /// Removes a slot's holder. The slot's next cell gets another one.
    pub(super) async fn remove_holder(&self, slot: &mut Slot) {
        if let Some(holder) = slot.holder.take()
            && let Err(error) = self.maker.remove(&holder).await
        {
            warn!(error = &error as &dyn Error, "a holder could not be removed");
        }
    }

    /// Removes these cells and all holders, and waits until every task of the pool has ended.
    pub(super) async fn remove_all(self: &Arc<Self>, cells: Vec<WarmCell>) {
        self.at_once.add_permits(AT_ONCE_AT_CLOSE);
        for cell in cells {
            self.remove_later(cell);
        }
        self.remove_idle_holders().await;
        self.tasks.close();
        self.tasks.wait().await;
        // Those of cells that were still being made when the pool was closed.
        self.remove_idle_holders().await;
    }

    async fn remove_idle_holders(&self) {
        let holders = self.cells.take_idle_holders();
        join_all(holders.iter().map(|holder| self.remove(holder))).await;
    }
}
