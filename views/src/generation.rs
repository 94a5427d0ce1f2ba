//! Generations: complete copies of a view, one of which readers see, and what every store of a view
//! does with them.

use async_trait::async_trait;

use crate::error::WriteError;

/// Where one generation of a view stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The copy of the view.
    pub generation: i32,
    /// The last event folded into it, 0 before the first.
    pub sequence: u64,
}

impl Position {
    /// Returns the position after the events from `first` to `last`, which have to begin right
    /// after this one: a view has no holes.
    pub fn after(self, first: u64, last: u64) -> Result<Self, WriteError> {
        // Events that are missing here would be missing for ever: the checkpoint passes them by.
        if first != self.sequence + 1 {
            return Err(WriteError::Hole { stands: self.sequence, first });
        }
        Ok(Self { sequence: last, ..self })
    }
}

/// Who reads the generation that a batch is folded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The readers of the view: the generation is the live one.
    Readers,
    /// No reader yet: a rebuild makes the generation.
    Rebuild,
}

/// The store of one view, apart from what it holds.
#[async_trait]
pub trait ViewStore: Send + Sync {
    /// Returns the view's name: the argument of `projector rebuild`, and the label of its metrics.
    fn name(&self) -> &'static str;

    /// Tells whether the store answers.
    async fn ping(&self) -> Result<(), WriteError>;

    /// Returns where the live generation stands.
    async fn position(&self) -> Result<Position, WriteError>;

    /// Begins an empty generation beside the live one. No reader sees it yet.
    async fn begin_generation(&self) -> Result<Position, WriteError>;

    /// Asks the live generation to stand still for a moment, so that a rebuilt one can draw level
    /// with it.
    async fn hold(&self) -> Result<Box<dyn Hold>, WriteError>;

    /// Deletes some of what belongs to generations before the live one: replaced ones, and rebuilds
    /// that were never finished. Returns how much; 0 when nothing is left.
    async fn delete_superseded(&self) -> Result<u64, WriteError>;
}

/// A live generation that stands still, for as long as this lives and for some seconds at most.
#[async_trait]
pub trait Hold: Send {
    /// Returns the live generation, and the last event that any reader may have seen folded into
    /// it.
    fn live(&self) -> Position;

    /// Shows `rebuilt` to readers in place of the live generation, in one step, if nothing that
    /// they saw is missing in it.
    async fn switch(self: Box<Self>, rebuilt: Position) -> Result<SwitchOutcome, WriteError>;
}

/// What came of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchOutcome {
    /// Readers see the rebuilt generation.
    Done,
    /// The live generation is ahead: catch up, and try again.
    Behind,
    /// Readers see a later generation already: another rebuild was faster.
    Overtaken,
}
