//! Reading submissions from the stream's leader. Never from a replica, which may be behind.

use std::time::Duration;

use backon::Retryable as _;
use events::subject::Family;
use events::{Event, Subject, SubmissionId};
use tokio::time::Instant;

use crate::aggregate::{Aggregate, Stored};
use crate::error::{Fault, ReadError};
use crate::ledger::Ledger;
use crate::retry::{QUICK, until};
use crate::store::{Message, StorageUsage};

/// How long a read waits for a server that is away.
const READ_DEADLINE: Duration = Duration::from_secs(5);

impl Ledger {
    /// Reads one submission whose lane and pool are not known.
    pub async fn load(&self, id: SubmissionId) -> Result<Option<Aggregate>, ReadError> {
        fold(self.history(id).await?)
    }

    /// Reads one submission by either of its subjects.
    pub async fn load_at(&self, subject: &Subject) -> Result<Option<Aggregate>, ReadError> {
        let accepted = subject.in_family(Family::Submission);
        let Some(first) = self.last(&accepted.to_string()).await? else {
            return Ok(None);
        };
        fold(self.complete(accepted_event(first)?).await?)
    }

    /// Reads every event of one submission, in order; empty when the submission does not exist.
    pub async fn history(&self, id: SubmissionId) -> Result<Vec<Stored>, ReadError> {
        let filter = Subject::lookup_filter(Family::Submission, id);
        match self.last(&filter).await? {
            Some(first) => self.complete(accepted_event(first)?).await,
            None => Ok(Vec::new()),
        }
    }

    /// Returns the sequence of the last event in the ledger.
    pub async fn last_sequence(&self) -> Result<u64, ReadError> {
        Ok(self.usage().await?.last_sequence)
    }

    /// Returns how full the ledger is. command-api stops admitting submissions before it is full,
    /// so that outcomes have room.
    pub async fn usage(&self) -> Result<StorageUsage, ReadError> {
        retried(|| self.store.usage()).await
    }

    /// Reads what follows an accepted event: the end first, so that an event that is appended
    /// meanwhile is left for the next read.
    async fn complete(&self, first: Stored) -> Result<Vec<Stored>, ReadError> {
        let outcome = first.subject.in_family(Family::Outcome).to_string();
        let mut events = vec![first];
        let Some(last) = self.last(&outcome).await? else {
            return Ok(events);
        };
        let mut from = 1;
        while from < last.sequence {
            // Requests, not a consumer: the end is known, and the server would have to make and
            // remove a consumer for each read.
            let found = retried(|| self.store.next(&outcome, from)).await?;
            let Some(message) = found.filter(|message| message.sequence < last.sequence) else {
                break;
            };
            from = message.sequence + 1;
            events.push(Stored::read(message)?);
        }
        events.push(Stored::read(last)?);
        Ok(events)
    }

    pub(crate) async fn last(&self, filter: &str) -> Result<Option<Message>, ReadError> {
        retried(|| self.store.last(filter)).await
    }
}

/// Folds a history as [`Ledger::history`] gives it.
fn fold(history: Vec<Stored>) -> Result<Option<Aggregate>, ReadError> {
    let mut events = history.into_iter();
    let Some(Stored { subject, recorded, payload: _ }) = events.next() else { return Ok(None) };
    let mut aggregate = Aggregate::begin(subject, recorded)?;
    for stored in events {
        aggregate.push(&stored.recorded);
    }
    Ok(Some(aggregate))
}

// A foreign publication may stand under a submission's subject, and a history that began with it
// would have no request.
fn accepted_event(message: Message) -> Result<Stored, ReadError> {
    let stored = Stored::read(message)?;
    if matches!(stored.recorded.envelope.event, Event::Accepted(_)) {
        return Ok(stored);
    }
    Err(ReadError::NotAccepted { sequence: stored.recorded.sequence, subject: stored.subject })
}

/// Repeats a read, which changes nothing, until it is answered or the deadline has come.
async fn retried<T, F>(read: impl Fn() -> F) -> Result<T, ReadError>
where
    F: Future<Output = Result<T, Fault>>,
{
    let deadline = Instant::now() + READ_DEADLINE;
    read.retry(QUICK).adjust(until(deadline)).await.map_err(ReadError::Unavailable)
}
