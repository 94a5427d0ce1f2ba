//! A cell in use: its requests, each under the memory limit that it needs, and its removal when the user is done with it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use events::Digest;
use metrics::gauge;
use sandbox::protocol::{Prepare, Prepared, Stage, StageReport, Stop};
use tokio::sync::OwnedSemaphorePermit;

use super::cell::CellError;
use super::pool::{Inner, Pool, PoolError, Warm};
use crate::metrics::CELLS_BUSY;

/// A place to run, and a warm cell of each image that may be asked for. Dropping it gives all back.
#[derive(Debug)]
pub struct Reservation {
    pub(super) pool: Pool,
    pub(super) busy: OwnedSemaphorePermit,
    pub(super) ready: BTreeMap<String, OwnedSemaphorePermit>,
}

impl Reservation {
    /// Takes the cell of one image, at once unless it had died; cells of other images go back.
    pub async fn take(mut self, image: &str) -> Result<Lease, PoolError> {
        let permit = self.ready.remove(image);
        // The permit stood for the cell that is about to leave the shelf.
        permit.ok_or_else(|| PoolError::UnknownImage(image.to_owned()))?.forget();
        self.ready.clear();
        loop {
            if let Some(warm) = self.pool.pop(image) {
                return Ok(self.pool.lease(warm, image, self.busy));
            }
            self.pool.another(image).await?;
        }
    }
}

/// What a run happens in, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The image's tag.
    pub image: String,
    /// The image's id.
    pub image_digest: String,
    /// The hash of what restricts the cell.
    pub profile: Digest,
}

/// A cell in use. Dropping it, at any moment, ends and removes the cell in the background.
#[derive(Debug)]
pub struct Lease {
    pool: Pool,
    warm: Option<Warm>,
    provenance: Provenance,
    /// The kernel has ended a stage in here for want of memory, which the engine never forgets.
    was_out_of_memory: bool,
    /// The submission's memory that the container's limit is set for, in bytes.
    memory_bytes: u64,
    _busy: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn new(pool: Pool, warm: Warm, image: String, busy: OwnedSemaphorePermit) -> Self {
        let maker = &pool.inner().maker;
        let provenance = Provenance {
            image,
            image_digest: warm.made.image_id.clone(),
            profile: maker.profile(),
        };
        let memory_bytes = maker.allowance().memory_bytes;
        pool.inner().in_use.fetch_add(1, Ordering::Relaxed);
        gauge!(CELLS_BUSY).increment(1.0);
        Self {
            pool,
            warm: Some(warm),
            provenance,
            was_out_of_memory: false,
            memory_bytes,
            _busy: busy,
        }
    }

    /// Returns what the run happens in.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Has files written and compiled, with so much memory in bytes.
    pub async fn prepare(
        &mut self,
        prepare: Prepare,
        memory_bytes: u64,
    ) -> Result<Prepared, CellError> {
        self.limit_memory(memory_bytes).await?;
        let answer = self.warm_mut().made.cell.prepare(prepare).await;
        let prepared = self.explain(answer).await?;
        let compiled = prepared.compile.as_ref();
        self.was_out_of_memory |= compiled.is_some_and(|it| it.stopped == Some(Stop::Memory));
        Ok(prepared)
    }

    /// Has a program run, with so much memory in bytes.
    pub async fn run(&mut self, stage: Stage, memory_bytes: u64) -> Result<StageReport, CellError> {
        self.limit_memory(memory_bytes).await?;
        let answer = self.warm_mut().made.cell.run(stage).await;
        let report = self.explain(answer).await?;
        self.was_out_of_memory |= report.stopped == Some(Stop::Memory);
        Ok(report)
    }

    /// Looks, without waiting, whether the cell still waits for a request.
    pub fn is_waiting(&mut self) -> bool {
        self.warm_mut().made.cell.is_waiting()
    }

    async fn limit_memory(&mut self, bytes: u64) -> Result<(), CellError> {
        if bytes == self.memory_bytes {
            return Ok(());
        }
        let id = self.warm_mut().made.id.clone();
        let maker = &self.pool.inner().maker;
        let limit = maker.allowance().container_bytes(bytes);
        match maker.limit_memory(&id, limit).await {
            Ok(()) => self.memory_bytes = bytes,
            // What a compiler left in /box may be more than the program may have. It cannot be pushed out, so the kernel
            // refuses; the cell's own program holds the limit all the same, and the old one was meant for this cell.
            Err(error) if bytes < self.memory_bytes => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "a cell keeps its larger memory limit");
            }
            Err(error) => return Err(CellError::Limits(error)),
        }
        Ok(())
    }

    /// A pipe that ended does not say why; the engine may know.
    async fn explain<T>(&mut self, answer: Result<T, CellError>) -> Result<T, CellError> {
        let Err(CellError::Died { oom_killed: _, stderr }) = answer else { return answer };
        if self.was_out_of_memory {
            return Err(CellError::Died { oom_killed: false, stderr });
        }
        let id = self.warm_mut().made.id.clone();
        let asked = self.pool.inner().maker.was_out_of_memory(&id).await;
        let oom_killed = asked.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a dead cell's end is unknown"
            );
            false
        });
        Err(CellError::Died { oom_killed, stderr })
    }

    fn warm_mut(&mut self) -> &mut Warm {
        self.warm.as_mut().expect("the cell leaves the lease only with its end")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.inner().in_use.fetch_sub(1, Ordering::Relaxed);
        gauge!(CELLS_BUSY).decrement(1.0);
        if let Some(Warm { made, slot }) = self.warm.take() {
            Inner::discard(self.pool.inner(), made.id, slot);
        }
    }
}
