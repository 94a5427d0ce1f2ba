//! Consecutive events, ready to be folded. A batch with a hole cannot be made.

use std::collections::BTreeSet;

use chrono::SubsecRound as _;
use events::{Recorded, SubmissionId};

// PostgreSQL keeps microseconds. Times are cut before the fold, so that a row equals the fold that
// it was written from.
const SUBSECOND_DIGITS: u16 = 6;

/// One or more events whose sequences follow each other without a hole.
#[derive(Clone, Debug)]
pub struct EventBatch(Vec<Recorded>);

/// Events that do not make a batch.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BatchError {
    /// There are no events.
    #[error("a batch has at least one event")]
    Empty,
    /// An event is missing, or one came twice.
    #[error("after event {previous} came event {next}")]
    Hole {
        /// The sequence before the fault.
        previous: u64,
        /// The sequence that followed it.
        next: u64,
    },
}

impl EventBatch {
    /// Takes events in the ledger's order.
    pub fn new(mut events: Vec<Recorded>) -> Result<Self, BatchError> {
        if events.is_empty() {
            return Err(BatchError::Empty);
        }
        // A fold over a hole would look right and be wrong for ever, so a hole ends here.
        for pair in events.windows(2) {
            let (previous, next) = (pair[0].sequence, pair[1].sequence);
            if next != previous + 1 {
                return Err(BatchError::Hole { previous, next });
            }
        }
        for event in &mut events {
            event.stored_at = event.stored_at.trunc_subsecs(SUBSECOND_DIGITS);
        }
        Ok(Self(events))
    }

    /// Returns the events.
    pub fn events(&self) -> &[Recorded] {
        &self.0
    }

    /// Returns the sequence of the first event.
    pub fn first(&self) -> u64 {
        // Not an `Option`: `new` refuses a batch without events.
        self.0[0].sequence
    }

    /// Returns the sequence of the last event.
    pub fn last(&self) -> u64 {
        self.0[self.0.len() - 1].sequence
    }

    /// Returns the submissions that the events belong to, each once.
    pub fn submissions(&self) -> BTreeSet<SubmissionId> {
        self.0.iter().map(|event| event.envelope.submission).collect()
    }
}
