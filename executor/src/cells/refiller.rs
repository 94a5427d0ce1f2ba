//! Keeping the shelves full: makes cells where they are missing, removes those that died or are too
//! many, and leaves an engine that fails in peace for a while.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, histogram};
use platform::telemetry::error_chain;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use super::maker::Maker;
use super::remover::Remover;
use super::slot::Slot;
use super::warm_cells::{Image, WarmCell, WarmCells};
use crate::metrics::{CELL_START_SECONDS, CELLS_DIED_WARM, CELLS_FAILED, CELLS_MADE};

/// How often warm cells are inspected, and the demand for them is adjusted.
pub(super) const INSPECT_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Refiller {
    pub(super) cells: Arc<WarmCells>,
    pub(super) maker: Arc<dyn Maker>,
    pub(super) remover: Arc<Remover>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Refiller {
    /// Keeps the shelves full until the pool is closed.
    pub(super) async fn keep_full(self) {
        let mut inspect_at = Instant::now() + INSPECT_EVERY;
        while !self.stop.is_cancelled() {
            while let Some((image, slot)) = self.cells.next_to_make() {
                self.tasks.spawn(self.clone().make_one(image, slot));
            }
            // Woken by the next inspection at the latest, and before it when a failure may be over.
            let until = self.cells.retry_at().map_or(inspect_at, |at| at.min(inspect_at));
            tokio::select! {
                () = self.cells.changed() => {}
                () = self.stop.cancelled() => {}
                () = sleep_until(until) => {}
            }
            if Instant::now() >= inspect_at {
                self.remove_unfit();
                inspect_at = Instant::now() + INSPECT_EVERY;
            }
        }
    }

    /// Makes one cell and puts it on its shelf.
    async fn make_one(self, image: Image, mut slot: Slot) {
        let started_at = Instant::now();
        let used_before = slot.holder.is_some();
        let mut made = self.maker.make(&image.tag, &mut slot).await;
        if made.is_err() && used_before {
            // The holder may have died, as all of them do when the engine is restarted.
            self.remover.remove_holder(&mut slot).await;
            made = self.maker.make(&image.tag, &mut slot).await;
        }
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                counter!(CELLS_FAILED, "image" => image.name.clone()).increment(1);
                self.remover.remove_holder(&mut slot).await;
                let cause = format!("{}: {}", image.tag, error_chain(&error));
                // Once for a row of failures: the tries of an engine that is away would fill the
                // log.
                if self.cells.record_failure(&image, slot, cause) {
                    let error = &error as &dyn Error;
                    error!(error, image.tag = image.tag, "cells cannot be made");
                }
                return;
            }
        };
        histogram!(CELL_START_SECONDS).record(started_at.elapsed());
        counter!(CELLS_MADE, "image" => image.name.clone()).increment(1);
        if let Some(unwanted) = self.cells.put(&image.name, WarmCell { made, slot }) {
            self.remover.remove_later(unwanted);
        }
    }

    /// Removes warm cells that have died or are too many by now.
    fn remove_unfit(&self) {
        let now = Instant::now();
        for image in self.cells.images() {
            while let Some((cell, died)) = self.cells.take_unfit(image, now) {
                if died {
                    counter!(CELLS_DIED_WARM, "image" => image.to_owned()).increment(1);
                }
                self.remover.remove_later(cell);
            }
        }
    }
}
