//! A cell in use: its requests, each under the memory limit that it needs, and its removal when it
//! is not needed any more.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use backon::Retryable;
use metrics::gauge;
use sandbox::protocol::{ExceededLimit, Prepare, Prepared, Stage, StageReport};
use tracing::warn;

use super::cell::CellError;
use super::host_memory;
use super::maker::Maker;
use super::places::{Place, Room};
use super::remover::Remover;
use super::source::{LeasedCell, Provenance};
use super::warm_cells::WarmCell;
use crate::metrics::CELLS_BUSY;
use crate::waits::until_engine_works;

/// How often the engine is asked again to raise a cell's memory limit, which takes some 16 seconds.
const LIMIT_TRIES_MAX: usize = 6;

/// A cell in use. Dropping it, at any moment, ends and removes the cell in the background.
#[derive(Debug)]
pub struct Lease {
    maker: Arc<dyn Maker>,
    remover: Arc<Remover>,
    warm: Option<WarmCell>,
    provenance: Provenance,
    /// The kernel has ended a stage in here for want of memory. The engine says so of the container
    /// for ever, so from then on its answer says nothing about a later stage.
    was_out_of_memory: bool,
    /// The memory of a submission that the container's limit is set for, in bytes.
    memory_bytes: u64,
    /// The machine's stalls for want of memory when the cell was taken.
    stalls: Option<u64>,
    _place: (Place, Room),
}

impl Lease {
    /// Makes a lease of a cell of the image with a tag, which takes a place and its room until it
    /// ends.
    pub(super) fn new(
        maker: Arc<dyn Maker>,
        remover: Arc<Remover>,
        warm: WarmCell,
        tag: String,
        place: (Place, Room),
    ) -> Self {
        let provenance = Provenance {
            image: tag,
            image_digest: warm.made.image_id.clone(),
            profile: maker.profile(),
        };
        let memory_bytes = maker.allowance().memory_bytes;
        gauge!(CELLS_BUSY).increment(1.0);
        Self {
            maker,
            remover,
            warm: Some(warm),
            provenance,
            was_out_of_memory: false,
            memory_bytes,
            stalls: host_memory::stalls(),
            _place: place,
        }
    }

    /// Looks, without waiting, whether the cell still waits for a request.
    pub fn is_waiting(&mut self) -> bool {
        self.warm_mut().made.cell.is_waiting()
    }

    async fn limit_memory(&mut self, bytes: u64) -> Result<(), CellError> {
        // A call to the engine takes milliseconds, and most submissions have the limit of a warm
        // cell.
        if bytes == self.memory_bytes {
            return Ok(());
        }
        let id = self.warm_mut().made.id.clone();
        let limit = self.maker.allowance().container_bytes(bytes);
        let is_raised = bytes > self.memory_bytes;
        // The cell is as good as before: an engine that has too much to do must not cost the
        // submission an attempt.
        let limited = (|| self.maker.limit_memory(&id, limit))
            .retry(until_engine_works().with_max_times(LIMIT_TRIES_MAX))
            .when(|error| is_raised && !error.is_gone())
            .await;
        match limited {
            Ok(()) => self.memory_bytes = bytes,
            // What a compiler left in /box may be more than the program may have. The kernel cannot
            // push it out, so it refuses. `cell-init` holds the stage's own limit all the same.
            Err(error) if !is_raised => {
                warn!(error = &error as &dyn Error, "a cell keeps its larger memory limit");
            }
            Err(error) => return Err(CellError::Limits(error)),
        }
        Ok(())
    }

    /// Adds to the end of a pipe, which does not say why it ended, what the engine knows of it.
    async fn explain<T>(&mut self, answer: Result<T, CellError>) -> Result<T, CellError> {
        let Err(CellError::Died { oom_killed: _, stderr }) = answer else { return answer };
        if self.was_out_of_memory {
            return Err(CellError::Died { oom_killed: false, stderr });
        }
        let id = self.warm_mut().made.id.clone();
        let asked = self.maker.was_out_of_memory(&id).await;
        let oom_killed = asked.unwrap_or_else(|error| {
            warn!(error = &error as &dyn Error, "a dead cell's end is unknown");
            // In doubt it is not the program's fault: the attempt is lost, and the next one
            // decides.
            false
        });
        // If the machine was short of memory, the cell may have been within its own limit.
        let is_its_own = oom_killed && host_memory::stalls() == self.stalls;
        Err(CellError::Died { oom_killed: is_its_own, stderr })
    }

    fn warm_mut(&mut self) -> &mut WarmCell {
        self.warm.as_mut().expect("the cell leaves the lease only with its end")
    }
}

#[async_trait]
impl LeasedCell for Lease {
    fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    async fn prepare(
        &mut self,
        prepare: Prepare,
        memory_bytes: u64,
    ) -> Result<Prepared, CellError> {
        self.limit_memory(memory_bytes).await?;
        let answer = self.warm_mut().made.cell.prepare(prepare).await;
        let prepared = self.explain(answer).await?;
        let compiled = prepared.compile.as_ref();
        self.was_out_of_memory |=
            compiled.is_some_and(|it| it.stopped == Some(ExceededLimit::Memory));
        Ok(prepared)
    }

    async fn run_program(
        &mut self,
        stage: Stage,
        memory_bytes: u64,
    ) -> Result<StageReport, CellError> {
        self.limit_memory(memory_bytes).await?;
        let answer = self.warm_mut().made.cell.run_stage(stage).await;
        let report = self.explain(answer).await?;
        self.was_out_of_memory |= report.stopped == Some(ExceededLimit::Memory);
        Ok(report)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        gauge!(CELLS_BUSY).decrement(1.0);
        if let Some(warm) = self.warm.take() {
            self.remover.remove_used(warm);
        }
    }
}
