//! A submission as a writer sees it, and a stored event as a reader sees it.

use std::sync::Arc;

use bytes::Bytes;
use events::envelope::Predecessor;
use events::event::Accepted;
use events::{Event, Recorded, Subject, Submission, SubmissionId};

use crate::error::ReadError;
use crate::store::Message;

/// One event of the ledger with the bytes and the subject that it stands under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The subject.
    pub subject: Subject,
    /// The stored bytes: what the hash chain is made of.
    pub payload: Bytes,
    /// What the bytes say.
    pub recorded: Recorded,
}

impl Stored {
    /// Reads a message. A message that is not ours, or whose form is not known, is an error and is
    /// never skipped.
    pub fn read(message: Message) -> Result<Self, ReadError> {
        let sequence = message.sequence;
        let subject: Subject =
            message.subject.parse().map_err(|source| ReadError::Subject { sequence, source })?;
        let recorded = Recorded::decode(sequence, message.stored_at, &message.payload)
            .map_err(|source| ReadError::Form { sequence, source })?;
        // The subject decides where an event is looked for. If the bytes named another submission,
        // the fold by subject and the fold by content would differ.
        if recorded.envelope.submission != subject.id {
            return Err(ReadError::WrongSubject { sequence, subject: message.subject });
        }
        Ok(Self { subject, payload: message.payload, recorded })
    }
}

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
    /// How many illegal events were met and ignored.
    pub violations: u32,
    /// The event that the next one follows.
    pub head: Predecessor,
    /// The sequence of the last event on the outcome subject, 0 before the first.
    pub(crate) outcome_sequence: u64,
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
        Ok(Self { subject, accepted, submission, violations: 0, head, outcome_sequence: 0 })
    }

    /// Takes in the next event of the outcome subject.
    pub(crate) fn push(&mut self, recorded: &Recorded) {
        self.outcome_sequence = recorded.sequence;
        self.head = recorded.as_predecessor();
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
