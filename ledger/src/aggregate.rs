//! A submission as a writer sees it.

use std::sync::Arc;

use events::envelope::Predecessor;
use events::event::Accepted;
use events::{Event, Recorded, Subject, Submission, SubmissionId};
use tokio::time::Instant;

use crate::entry::LedgerEntry;
use crate::error::ReadError;

/// A submission as a writer sees it: the fold, and where its subjects end.
///
/// Its times are exact where the events were read from the stream. An event that this process
/// appended carries the process's own clock, since an acknowledgement has no time. Views are folded
/// from what they read.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// The subject of its accepted event.
    pub subject: Subject,
    /// The request itself.
    pub accepted: Arc<Accepted>,
    /// What its events make of it.
    pub submission: Submission,
    /// How many illegal events and foreign messages were met and ignored.
    pub violations: u32,
    /// The event that the next one follows.
    pub head: Predecessor,
    /// The sequence of the last message on the outcome subject, 0 before the first.
    pub(crate) outcome_sequence: u64,
    /// Since when the ledger answers without the event that the next one follows.
    // Here and not in one call: `execute` ends before the time is over, and its caller tries again.
    pub(crate) missing_since: Option<Instant>,
}

impl Aggregate {
    /// Begins with the accepted event; any other event is an error.
    pub(crate) fn begin(subject: Subject, first: Recorded) -> Result<Self, ReadError> {
        let head = first.as_predecessor();
        let Recorded { sequence, stored_at, envelope, digest: _ } = first;
        // Refused here, so that every aggregate has its request and no caller needs a case for
        // "was never accepted".
        let Event::Accepted(accepted) = envelope.event else {
            return Err(ReadError::NotAccepted { sequence, subject });
        };
        let submission = Submission::begin(subject.id, &accepted, sequence, stored_at);
        let accepted = Arc::from(accepted);
        Ok(Self {
            subject,
            accepted,
            submission,
            violations: 0,
            head,
            outcome_sequence: 0,
            missing_since: None,
        })
    }

    /// Takes in the next entry of the outcome subject.
    pub(crate) fn take_in(&mut self, entry: &LedgerEntry) {
        match entry {
            LedgerEntry::Event(stored) => self.push(&stored.recorded),
            // It says nothing, but the next append has to expect it.
            LedgerEntry::Foreign(foreign) => {
                self.outcome_sequence = foreign.sequence;
                self.violations = self.violations.saturating_add(1);
            }
        }
    }

    /// Takes in the next event of the outcome subject.
    pub(crate) fn push(&mut self, recorded: &Recorded) {
        self.outcome_sequence = recorded.sequence;
        self.head = recorded.as_predecessor();
        self.missing_since = None;
        // An illegal event stands in the ledger for ever, so it moves the end as well: an
        // append that did not expect it would meet a conflict each time.
        let folded = self.submission.fold(recorded);
        self.violations = self.violations.saturating_add(u32::from(folded.is_err()));
    }

    /// Returns the submission's id.
    pub fn id(&self) -> SubmissionId {
        self.subject.id
    }
}
