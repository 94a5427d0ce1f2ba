//! Making and removing cells: a trait, so that the pool can be tested without an engine, and its
//! one real form on Docker.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use events::Digest;

use super::cell::{AttachedCell, CellError};
use super::container_flags::{self, Allowance, CellSettings, Owner};
use super::engine::{ContainerId, DockerEngine, EngineError};
use super::slot::Slot;

/// How long a started cell may take to its first message.
const GREETING_TIME_MAX: Duration = Duration::from_secs(20);

/// A cell that has just been made.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct MadeCell {
    pub id: ContainerId,
    /// The engine's id of its image, which changes with the image's content.
    pub image_id: String,
    /// The cell, waiting.
    pub cell: AttachedCell,
}

/// Why there is no new cell.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The container started and did not send its first message.
    #[error("a new cell did not greet")]
    Greeting(#[source] CellError),
}

/// What makes cells.
#[async_trait]
pub trait Maker: fmt::Debug + Send + Sync {
    /// Makes a cell of the image under a tag, and first the slot's holder if it has none.
    async fn make(&self, tag: &str, slot: &mut Slot) -> Result<MadeCell, MakeError>;

    /// Removes a container, and returns when it is gone.
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Changes a container's memory limit.
    async fn limit_memory(&self, id: &ContainerId, bytes: u64) -> Result<(), EngineError>;

    /// Tells whether the kernel ended something in a cell for want of memory.
    async fn was_out_of_memory(&self, id: &ContainerId) -> Result<bool, EngineError>;

    /// Returns what cells are made with.
    fn allowance(&self) -> &Allowance;

    /// Returns the hash of what restricts the cells.
    fn profile(&self) -> Digest;
}

/// Makes cells on a Docker engine.
#[derive(Debug)]
pub struct DockerMaker {
    engine: DockerEngine,
    allowance: Allowance,
    owner: Owner,
    profile: Digest,
    serial: AtomicU64,
}

impl DockerMaker {
    /// Makes a maker; asks nothing of the engine yet.
    pub fn new(engine: DockerEngine, allowance: Allowance, owner: Owner) -> Self {
        let profile = container_flags::profile_hash(&allowance);
        Self { engine, allowance, owner, profile, serial: AtomicU64::new(0) }
    }

    /// Names a container for people who look at the engine. The boot id keeps names of an earlier
    /// start of this executor apart, whose containers may still be there.
    fn name(&self, role: &str) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        format!("runledger-{role}-{}-{serial}", self.owner.boot.as_uuid().simple())
    }

    async fn make_holder(&self, image: &str) -> Result<ContainerId, EngineError> {
        let spec = container_flags::holder_spec(&self.allowance, &self.owner, image);
        let id = self.engine.create(&self.name("holder"), spec).await?;
        match self.engine.start(&id).await {
            Ok(()) => Ok(id),
            Err(error) => {
                self.remove_failed(&id).await;
                Err(error)
            }
        }
    }

    async fn start_and_greet(&self, id: &ContainerId) -> Result<AttachedCell, MakeError> {
        // Attached before it starts: the first message would be lost otherwise.
        let pipes = self.engine.attach(id).await?;
        self.engine.start(id).await?;
        AttachedCell::greet(pipes, GREETING_TIME_MAX).await.map_err(MakeError::Greeting)
    }

    /// Removes a container that did not start. If that fails too, the reaper finds the container
    /// later.
    async fn remove_failed(&self, id: &ContainerId) {
        if let Err(error) = self.engine.remove(id).await {
            tracing::warn!(error = &error as &dyn Error, "a failed container stays");
        }
    }
}

#[async_trait]
impl Maker for DockerMaker {
    async fn make(&self, tag: &str, slot: &mut Slot) -> Result<MadeCell, MakeError> {
        // Looked up by tag each time, so that a rebuilt image is taken up. Used by id from here on,
        // so that the container has exactly the image that its event names.
        let image_id = self.engine.image_id(tag).await?;
        let holder = match &slot.holder {
            Some(holder) => holder.clone(),
            None => slot.holder.insert(self.make_holder(&image_id).await?).clone(),
        };
        let place = CellSettings {
            image: image_id.clone(),
            holder: holder.as_str().to_owned(),
            uid_base: slot.uid_base(self.owner.boot),
        };
        let spec = container_flags::cell_spec(&self.allowance, &self.owner, &place);
        let id = self.engine.create(&self.name("cell"), spec).await?;
        match self.start_and_greet(&id).await {
            Ok(cell) => Ok(MadeCell { id, image_id, cell }),
            Err(error) => {
                self.remove_failed(&id).await;
                Err(error)
            }
        }
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.engine.remove(id).await
    }

    async fn limit_memory(&self, id: &ContainerId, bytes: u64) -> Result<(), EngineError> {
        self.engine.limit_memory(id, bytes).await
    }

    async fn was_out_of_memory(&self, id: &ContainerId) -> Result<bool, EngineError> {
        self.engine.was_out_of_memory(id).await
    }

    fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    fn profile(&self) -> Digest {
        self.profile
    }
}
