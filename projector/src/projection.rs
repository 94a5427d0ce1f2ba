//! What a projection is to the code that runs or rebuilds it: a place in the ledger, and a way to move it forward.

use std::time::Duration;

use async_trait::async_trait;

use crate::batch::Batch;
use crate::error::ProjectionError;

/// How many events are folded in one step by the running service.
pub const BATCH_EVENTS_MAX: usize = 500;
/// How many bytes of payload are folded in one step: the bound on memory, since one event may be a megabyte.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long the running service waits for more to fold in one step: each step costs transactions in two stores, and all events
/// of a short program come within this time.
pub const BATCH_TIME_MAX: Duration = Duration::from_millis(50);

/// Where one generation of a projection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The copy of the view.
    pub generation: i32,
    /// The last event folded into it, 0 before the first.
    pub sequence: u64,
}

impl Position {
    /// Returns the position after `batch`, which has to begin right after this one: a view has no holes.
    pub fn after(self, batch: &Batch) -> Result<Self, ProjectionError> {
        if batch.first() != self.sequence + 1 {
            return Err(ProjectionError::Hole { stands: self.sequence, first: batch.first() });
        }
        Ok(Self { sequence: batch.last(), ..self })
    }
}

/// A view that can be folded from the ledger, one batch after the other.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Returns the projection's name: the argument of `projector rebuild`, and the label of its metrics.
    fn name(&self) -> &'static str;

    /// Tells whether the store answers.
    async fn ping(&self) -> Result<(), ProjectionError>;

    /// Returns where the live generation stands.
    async fn position(&self) -> Result<Position, ProjectionError>;

    /// Folds `batch` into the live generation and makes it durable. [`ProjectionError::Moved`] when `at` is not where it
    /// stands any more.
    async fn fold(&self, at: Position, batch: &Batch) -> Result<Position, ProjectionError>;

    /// Begins an empty generation beside the live one, which nobody reads yet.
    async fn begin_generation(&self) -> Result<Position, ProjectionError>;

    /// Folds `batch` into a generation that nobody reads yet.
    async fn build(&self, at: Position, batch: &Batch) -> Result<Position, ProjectionError>;

    /// Asks the live generation to stand still for a moment, so that a rebuilt one can draw level with it.
    async fn hold(&self) -> Result<Box<dyn Hold>, ProjectionError>;

    /// Deletes some of what belongs to generations before the live one: replaced ones, and rebuilds that were never
    /// finished. Returns how much; 0 when nothing is left.
    async fn delete_superseded(&self) -> Result<u64, ProjectionError>;
}

/// A live generation that stands still, for as long as this lives and for some seconds at most.
#[async_trait]
pub trait Hold: Send {
    /// Returns the live generation, and the last event that any reader may have seen folded into it.
    fn live(&self) -> Position;

    /// Shows `rebuilt` to readers in place of the live generation, in one step, if nothing that they saw is missing in it.
    async fn switch(self: Box<Self>, rebuilt: Position) -> Result<Switch, ProjectionError>;
}

/// What came of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Readers see the rebuilt generation.
    Done,
    /// The live generation is ahead: catch up, and try again.
    Behind,
    /// Readers see a later generation already: another rebuild was faster.
    Overtaken,
}
