//! Generations: complete copies of a view, one of which readers see, and what every store of a view
//! does with them.

use async_trait::async_trait;
use events::LedgerPosition;

use crate::error::WriteError;

/// Where one generation of a view stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The copy of the view.
    pub generation: i32,
    /// The last entry of the ledger that is folded into it; none before the first.
    pub last: Option<LedgerPosition>,
}

impl Position {
    /// Returns the sequence of the last entry folded into it, 0 before the first.
    pub fn sequence(self) -> u64 {
        self.last.map_or(0, |last| last.sequence)
    }

    /// Returns the position after the entries from `first` to `last`, which have to begin right
    /// after this one: a view has no holes.
    pub fn after(self, first: u64, last: LedgerPosition) -> Result<Self, WriteError> {
        // Events that are missing here would be missing for ever: the checkpoint passes them by.
        let stands = self.sequence();
        if first != stands + 1 {
            return Err(WriteError::Hole { stands, first });
        }
        Ok(Self { last: Some(last), ..self })
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

    /// Returns the last entry of the ledger that any reader may have seen folded into the live
    /// generation; none before the first.
    async fn seen(&self) -> Result<Option<LedgerPosition>, WriteError>;

    /// Begins an empty generation beside the live one. No reader sees it yet.
    async fn begin_generation(&self) -> Result<Position, WriteError>;

    /// Asks the live generation to stand still for a moment, so that a rebuilt one can draw level
    /// with it.
    async fn hold(&self) -> Result<Box<dyn Hold>, WriteError>;

    /// Deletes what belongs to generations before the live one: replaced ones, and rebuilds that
    /// were never finished. Tells `report` again and again how many rows or documents are deleted.
    async fn delete_superseded(
        &self,
        report: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), WriteError>;
}

/// A live generation that stands still, for as long as this lives and for some seconds at most.
#[async_trait]
pub trait Hold: Send {
    /// Returns where the live generation stands.
    fn live(&self) -> Position;

    /// Returns the last entry that any reader may have seen folded into it; none before the first.
    fn seen(&self) -> Option<LedgerPosition>;

    /// Shows `rebuilt` to readers in place of the live generation, in one step, if nothing that
    /// they may still rely on is missing in it.
    async fn switch(
        self: Box<Self>,
        rebuilt: Position,
        live: LiveHistory,
    ) -> Result<SwitchOutcome, WriteError>;
}

/// What the live generation was folded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveHistory {
    /// The history that the rebuilt one is folded from: what readers saw must not be missing.
    Same,
    /// One that is gone, since the ledger was set back or replaced: what readers saw counts no more.
    Gone,
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
