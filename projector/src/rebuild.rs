//! A rebuild: the whole ledger folded into a new generation beside the live one, then shown to
//! readers in one step.

use std::error::Error;
use std::time::Duration;

use ledger::{Ledger, ReadError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::warn;

use crate::batch::EventBatch;
use crate::projection::Projection;
use crate::reader::{BatchLimits, Reader, ReaderError};
use views::error::WriteError;
use views::generation::{Audience, Hold, LiveHistory, Position, SwitchOutcome};

// Larger batches than the running service takes: no reader waits for a single event here, and a
// user's document is written once for each batch that the user has an event in.
const LIMITS: BatchLimits = BatchLimits {
    events_max: 20_000,
    bytes_max: 16 * 1024 * 1024,
    time_max: Duration::from_millis(200),
};
/// How long the live generation may be held to draw level with it, before it is let go on.
// Shorter than a store grants a hold, so that the switch itself still falls into it.
const LEVEL_TIME_MAX: Duration = Duration::from_secs(3);

/// Why a rebuild failed. The live view is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The store failed.
    #[error("the view cannot be written")]
    View(#[from] WriteError),
    /// The ledger is away.
    #[error("the ledger cannot be read")]
    Away(#[from] ReadError),
    /// The ledger makes no sense.
    #[error("the ledger cannot be read any further")]
    Broken(#[from] ReaderError),
    /// Another rebuild was faster.
    #[error("another rebuild was faster, and readers see its view")]
    Overtaken,
}

/// What a rebuild is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildStage {
    /// The new generation holds every event up to `sequence`, of `last`.
    #[expect(missing_docs, reason = "plain data: the names say it")]
    Replaying {
        generation: i32,
        sequence: u64,
        /// The last event of the ledger when it was looked at.
        last: u64,
    },
    /// Readers see the new generation.
    Switched(Position),
    /// So many rows or documents of earlier generations are deleted.
    Deleted(u64),
}

/// Rebuilds a view while it is read and kept up to date. Tells `report` how it goes.
pub async fn rebuild(
    ledger: &Ledger,
    projection: &dyn Projection,
    report: &mut (dyn FnMut(RebuildStage) + Send),
) -> Result<Position, RebuildError> {
    let mut replay = Replay {
        projection,
        position: projection.store().begin_generation().await?,
        reader: ReadAhead::begin(ledger),
    };
    loop {
        // Most of the way without a hold, since a held generation falls behind the ledger.
        replay.fold_up_to(ledger.last_sequence().await?, report).await?;
        let seen = projection.store().seen().await?;
        // Before the hold: to be sure of it takes longer than a store grants one.
        let differs = ledger.confirm(seen).await.err();
        let hold = projection.store().hold().await?;
        let live = match differs {
            // A generation that has moved on meanwhile is of another history than was looked at.
            Some(differs) if hold.seen() == seen => {
                warn!(error = &differs as &dyn Error, "the live generation is of another history");
                LiveHistory::Gone
            }
            Some(_) => continue,
            None => LiveHistory::Same,
        };
        // There is nothing to draw level with where its events never come.
        if live == LiveHistory::Same && !replay.draw_level(hold.as_ref()).await? {
            // The hold is dropped here, so that the live generation goes on meanwhile.
            continue;
        }
        match hold.switch(replay.position, live).await? {
            SwitchOutcome::Done => break,
            SwitchOutcome::Behind => {}
            SwitchOutcome::Overtaken => return Err(RebuildError::Overtaken),
        }
    }
    // Only now may earlier generations go: until the switch, readers read one of them.
    report(RebuildStage::Switched(replay.position));
    let mut deleted = |count| report(RebuildStage::Deleted(count));
    projection.store().delete_superseded(&mut deleted).await?;
    Ok(replay.position)
}

/// A generation that is being filled.
struct Replay<'a> {
    projection: &'a dyn Projection,
    position: Position,
    reader: ReadAhead,
}

/// Reads the ledger in a task of its own, so that the next batch is decoded on another processor
/// than the one that folds and the one that the store writes on.
struct ReadAhead {
    batches: mpsc::Receiver<Result<EventBatch, ReaderError>>,
    /// Ends the task when it is dropped.
    _task: JoinSet<()>,
}

impl ReadAhead {
    /// Reads everything from the first event on.
    fn begin(ledger: &Ledger) -> Self {
        let mut reader = Reader::after(ledger, None, LIMITS);
        let (sender, batches) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let batch = reader.next().await;
                let has_failed = batch.is_err();
                if sender.send(batch).await.is_err() || has_failed {
                    return;
                }
            }
        });
        Self { batches, _task: task }
    }

    async fn next(&mut self) -> Result<EventBatch, ReaderError> {
        self.batches.recv().await.ok_or(ReaderError::Ended)?
    }
}

impl Replay<'_> {
    /// Folds every event up to `last`.
    async fn fold_up_to(
        &mut self,
        last: u64,
        report: &mut (dyn FnMut(RebuildStage) + Send),
    ) -> Result<(), RebuildError> {
        while self.position.sequence() < last {
            self.fold_next_batch().await?;
            let (generation, sequence) = (self.position.generation, self.position.sequence());
            // The last batch may go past `last`, and what is left must not come out negative.
            report(RebuildStage::Replaying { generation, sequence, last: last.max(sequence) });
        }
        Ok(())
    }

    /// Folds what the live generation has and this one has not. False when that takes too long.
    async fn draw_level(&mut self, hold: &dyn Hold) -> Result<bool, RebuildError> {
        let deadline = Instant::now() + LEVEL_TIME_MAX;
        let last = hold.seen().map_or(0, |seen| seen.sequence);
        while self.position.sequence() < last {
            // Between steps, since a step that is cut off leaves the position unknown.
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.fold_next_batch().await?;
        }
        Ok(true)
    }

    async fn fold_next_batch(&mut self) -> Result<(), RebuildError> {
        let batch = self.reader.next().await?;
        let folded = self.projection.fold(Audience::Rebuild, self.position, &batch).await;
        self.position = match folded {
            // Our generation is gone: another rebuild switched to a later one and deleted ours.
            Err(WriteError::Moved) => return Err(RebuildError::Overtaken),
            folded => folded?,
        };
        Ok(())
    }
}
