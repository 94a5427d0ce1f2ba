//! The projection on its store: one transaction for each batch, which holds the rows and the
//! checkpoint.

use std::sync::Arc;

use async_trait::async_trait;
use events::{Fold, LedgerId, SubmissionId};
use ledger::ForeignMessage;
use views::error::WriteError;
use views::generation::{Audience, Position, ViewStore};
use views::results::{QuarantinedMessage, ResultsWriter};

use super::changes::{States, changes_between, fold};
use crate::batch::EventBatch;
use crate::last_batch::{LastBatch, keep_latest};
use crate::projection::Projection;

/// How many submissions are kept in memory.
// The largest part of a submission is the compiler's output, 64 KiB at most.
const SUBMISSIONS_MAX: usize = 1_000;

/// The projection `results` on PostgreSQL.
#[derive(Clone, Debug)]
pub struct ResultsProjection {
    writer: ResultsWriter,
    last_batch: Arc<LastBatch<States>>,
}

impl ResultsProjection {
    /// Makes the projection that writes to this store.
    pub fn new(writer: ResultsWriter) -> Self {
        Self { writer, last_batch: Arc::default() }
    }

    /// Returns the store.
    pub fn writer(&self) -> &ResultsWriter {
        &self.writer
    }
}

#[async_trait]
impl Projection for ResultsProjection {
    fn store(&self) -> &dyn ViewStore {
        &self.writer
    }

    async fn fold(
        &self,
        audience: Audience,
        at: Position,
        batch: &EventBatch,
    ) -> Result<Position, WriteError> {
        let next = at.after(batch.first(), batch.last())?;
        let mut writing = self.writer.begin(audience, at).await?;
        // What is in memory counts under the lock only: no other process has moved the position.
        let mut known = self.last_batch.take(at);
        let unknown = batch.submissions().into_iter().filter(|id| !known.contains_key(id));
        let unknown: Vec<SubmissionId> = unknown.collect();
        known.extend(writing.load(&unknown).await?);
        let after = fold(&known, batch);
        writing.write(changes_between(&known, &after)?).await?;
        let ledger = batch.last().ledger;
        let passed_by = batch.foreign().iter().map(|foreign| quarantined(ledger, foreign));
        writing.quarantine(passed_by.collect()).await?;
        writing.commit(next).await?;
        // Only after the commit: if it fails, memory must not hold what the store does not have.
        known.extend(after);
        // Nothing follows the end of a submission, so an ended one is not asked for again.
        known.retain(|_, fold| is_live(fold));
        keep_latest(&mut known, SUBMISSIONS_MAX, last_event);
        self.last_batch.keep(next, known);
        Ok(next)
    }
}

fn quarantined(ledger: LedgerId, foreign: &ForeignMessage) -> QuarantinedMessage {
    let ForeignMessage { subject, sequence, stored_at, payload, digest, reason } = foreign;
    let kept = payload.len().min(QuarantinedMessage::PAYLOAD_BYTES_MAX);
    QuarantinedMessage {
        ledger,
        sequence: *sequence,
        digest: *digest,
        subject: subject.clone(),
        payload: payload[..kept].to_vec(),
        payload_bytes: payload.len() as u64,
        reason: reason.clone(),
        stored_at: *stored_at,
    }
}

fn is_live(fold: &Fold) -> bool {
    fold.submission.as_ref().is_some_and(|submission| !submission.state.is_terminal())
}

fn last_event(fold: &Fold) -> u64 {
    fold.submission.as_ref().map_or(0, |submission| submission.sequence)
}
