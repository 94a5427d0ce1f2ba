//! The seams between a submission and the world: where it runs, where its objects lie, and who else might hold it. Each
//! has one real form here; tests have others.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use events::{BootId, ObjectBucket, ObjectRef, SubmissionId};
use ledger::{Held, ObjectError, Objects, Presence};
use sandbox::protocol::{Prepare, Prepared, Stage, StageReport};

use crate::cells::cell::CellError;
use crate::cells::lease::{Lease, Provenance, Reservation};
use crate::cells::pool::{Pool, PoolError};

/// Gives a submission cells: one at once, another if that is lost.
#[async_trait]
pub trait Runner: fmt::Debug + Send + Sync {
    /// Waits for a cell of an image.
    async fn bench(&self, image: &str) -> Result<Box<dyn Bench>, PoolError>;
}

/// A cell that is one submission's. Dropping it ends whatever runs in it.
#[async_trait]
pub trait Bench: fmt::Debug + Send {
    /// Returns what the run happens in.
    fn provenance(&self) -> &Provenance;

    /// Has files written and compiled, with so much memory in bytes.
    async fn prepare(&mut self, prepare: Prepare, memory_bytes: u64)
    -> Result<Prepared, CellError>;

    /// Has a program run, with so much memory in bytes.
    async fn run(&mut self, stage: Stage, memory_bytes: u64) -> Result<StageReport, CellError>;
}

/// Stores and fetches objects.
#[async_trait]
pub trait Blobs: fmt::Debug + Send + Sync {
    /// Stores an object and returns its name.
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ObjectError>;

    /// Fetches an object.
    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError>;
}

/// Asks other executors.
#[async_trait]
pub trait Peers: fmt::Debug + Send + Sync {
    /// Asks a life whether it still holds a submission.
    async fn ask(&self, boot: BootId, id: SubmissionId) -> Held;
}

/// Cells of a pool: first the one that was reserved before the submission was fetched.
#[derive(Debug)]
pub struct Seat {
    pool: Pool,
    images: Vec<String>,
    reserved: Mutex<Option<Reservation>>,
}

impl Seat {
    /// Makes a seat of a reservation for `images`.
    pub fn new(pool: Pool, images: Vec<String>, reserved: Reservation) -> Self {
        Self { pool, images, reserved: Mutex::new(Some(reserved)) }
    }

    async fn reservation(&self) -> Result<Reservation, PoolError> {
        let reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner).take();
        match reserved {
            Some(reserved) => Ok(reserved),
            None => self.pool.reserve(&self.images).await,
        }
    }
}

#[async_trait]
impl Runner for Seat {
    async fn bench(&self, image: &str) -> Result<Box<dyn Bench>, PoolError> {
        let lease = self.reservation().await?.take(image).await?;
        Ok(Box::new(lease))
    }
}

#[async_trait]
impl Bench for Lease {
    fn provenance(&self) -> &Provenance {
        self.provenance()
    }

    async fn prepare(
        &mut self,
        prepare: Prepare,
        memory_bytes: u64,
    ) -> Result<Prepared, CellError> {
        self.prepare(prepare, memory_bytes).await
    }

    async fn run(&mut self, stage: Stage, memory_bytes: u64) -> Result<StageReport, CellError> {
        self.run(stage, memory_bytes).await
    }
}

#[async_trait]
impl Blobs for Objects {
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ObjectError> {
        self.put(bucket, bytes).await
    }

    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        self.get(object).await
    }
}

#[async_trait]
impl Peers for Presence {
    async fn ask(&self, boot: BootId, id: SubmissionId) -> Held {
        match self.ask(boot, id).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an executor could not be asked"
                );
                Held::Silent
            }
        }
    }
}
