//! Consecutive entries of the ledger, ready to be folded. A batch with a hole cannot be made.

use std::collections::BTreeSet;

use chrono::SubsecRound as _;
use events::{LedgerPosition, Recorded, SubmissionId};
use ledger::{Followed, ForeignMessage, LedgerEntry};

// PostgreSQL keeps microseconds. Times are cut before the fold, so that a row equals the fold that
// it was written from.
const SUBSECOND_DIGITS: u16 = 6;

/// One or more entries whose sequences follow each other without a hole.
#[derive(Clone, Debug)]
pub struct EventBatch {
    first: u64,
    last: LedgerPosition,
    events: Vec<Recorded>,
    foreign: Vec<ForeignMessage>,
}

/// Entries that do not make a batch.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BatchError {
    /// There are no entries.
    #[error("a batch has at least one entry")]
    Empty,
    /// An entry is missing, or one came twice.
    #[error("after entry {previous} came entry {next}")]
    Hole {
        /// The sequence before the fault.
        previous: u64,
        /// The sequence that followed it.
        next: u64,
    },
}

impl EventBatch {
    /// Takes entries in the ledger's order.
    pub fn new(entries: Vec<Followed>) -> Result<Self, BatchError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(BatchError::Empty);
        };
        // A fold over a hole would look right and be wrong for ever, so a hole ends here.
        for pair in entries.windows(2) {
            let (previous, next) = (pair[0].position.sequence, pair[1].position.sequence);
            if next != previous + 1 {
                return Err(BatchError::Hole { previous, next });
            }
        }
        let (first, last) = (first.position.sequence, last.position);
        let mut batch = Self { first, last, events: Vec::new(), foreign: Vec::new() };
        for Followed { position: _, entry } in entries {
            match entry {
                LedgerEntry::Event(stored) => {
                    let mut event = stored.recorded;
                    event.stored_at = event.stored_at.trunc_subsecs(SUBSECOND_DIGITS);
                    batch.events.push(event);
                }
                LedgerEntry::Foreign(message) => batch.foreign.push(message),
            }
        }
        Ok(batch)
    }

    /// Returns the events; none if every entry is foreign.
    pub fn events(&self) -> &[Recorded] {
        &self.events
    }

    /// Returns what is no event of ours, and is passed by.
    pub fn foreign(&self) -> &[ForeignMessage] {
        &self.foreign
    }

    /// Returns the sequence of the first entry.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Returns where a reader stands that has taken in the last entry.
    pub fn last(&self) -> LedgerPosition {
        self.last
    }

    /// Returns the submissions that the events belong to, each once.
    pub fn submissions(&self) -> BTreeSet<SubmissionId> {
        self.events.iter().map(|event| event.envelope.submission).collect()
    }
}
