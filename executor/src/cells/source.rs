//! The seam between a submission and its cells: what the rest of the executor may do with a cell.
//! The real cells are containers; tests have cells that follow a script.

use std::fmt;

use async_trait::async_trait;
use events::Digest;
use sandbox::protocol::{Prepare, Prepared, Stage, StageReport};

use super::cell::CellError;
use super::warm_cells::NoCellError;

/// Gives one submission its cells: one at once, another one if that is lost.
#[async_trait]
pub trait CellSource: fmt::Debug + Send {
    /// Gives up what is kept for the submission. A cell that is taken later is waited for.
    fn give_back(&mut self);

    /// From now on nothing else may run on this executor beside a cell that is taken.
    fn run_alone(&mut self);

    /// Waits for a cell of an image, and until it may take so much memory in bytes.
    async fn take_cell(
        &mut self,
        image: &str,
        memory_bytes: u64,
    ) -> Result<Box<dyn LeasedCell>, NoCellError>;
}

/// A cell that one submission has to itself. Dropping it ends whatever runs in it.
#[async_trait]
pub trait LeasedCell: fmt::Debug + Send {
    /// Returns what the run happens in.
    fn provenance(&self) -> &Provenance;

    /// Has files written and compiled, with so much memory in bytes.
    async fn prepare(&mut self, prepare: Prepare, memory_bytes: u64)
    -> Result<Prepared, CellError>;

    /// Has a program run, with so much memory in bytes.
    async fn run_program(
        &mut self,
        stage: Stage,
        memory_bytes: u64,
    ) -> Result<StageReport, CellError>;
}

/// What a run happens in, as its event says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Provenance {
    pub image: String,
    pub image_digest: String,
    /// The hash of what restricts the cell.
    pub profile: Digest,
}
