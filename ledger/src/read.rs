//! Reading submissions from the stream's leader. Never from a replica, which may be behind.

use std::time::Duration;

use backon::Retryable as _;
use events::subject::Family;
use events::{Event, QueueName, Subject, SubmissionId, Timestamp};
use tokio::time::Instant;

use crate::aggregate::Aggregate;
use crate::entry::{LedgerEntry, Stored};
use crate::error::{Fault, ReadError};
use crate::ledger::Ledger;
use crate::retry::{QUICK, until};
use crate::store::{Message, StorageUsage};

/// How long a read waits for a server that is away.
const READ_DEADLINE: Duration = Duration::from_secs(5);

/// What stands under a filter of accepted events.
#[derive(Debug)]
pub(crate) enum Standing {
    /// An accepted event.
    Accepted(Box<Stored>),
    /// Only what no writer of ours wrote, the last of it at this sequence.
    Foreign { last: u64 },
    /// Nothing, or nothing that the leader has yet.
    Unseen,
}

impl Ledger {
    /// Reads one submission whose lane and pool are not known.
    pub async fn load(&self, id: SubmissionId) -> Result<Option<Aggregate>, ReadError> {
        self.fold(&Subject::lookup_filter(Family::Submission, id)).await
    }

    /// Reads the submission with the key part of `id`: the one that stands under its idempotency
    /// key, whose own id has another time.
    pub async fn load_by_key_part(&self, id: SubmissionId) -> Result<Option<Aggregate>, ReadError> {
        self.fold(&Subject::key_filter(id)).await
    }

    /// Reads one submission by either of its subjects.
    pub async fn load_at(&self, subject: &Subject) -> Result<Option<Aggregate>, ReadError> {
        self.fold(&subject.in_family(Family::Submission).to_string()).await
    }

    /// Reads every event of one submission, in order; empty when the submission does not exist.
    pub async fn history(&self, id: SubmissionId) -> Result<Vec<Stored>, ReadError> {
        let filter = Subject::lookup_filter(Family::Submission, id);
        let Standing::Accepted(first) = self.standing(&filter).await? else {
            return Ok(Vec::new());
        };
        let subject = first.subject.clone();
        let mut events = vec![*first];
        self.each_outcome(&subject, |entry| events.extend(event(entry))).await?;
        Ok(events)
    }

    /// Returns the sequence of the last event in the ledger.
    pub async fn last_sequence(&self) -> Result<u64, ReadError> {
        Ok(self.usage().await?.last_sequence)
    }

    /// Returns the sequence of the first event that was stored at this time or later; one past the
    /// end if there is none.
    pub async fn first_since(&self, time: Timestamp) -> Result<u64, ReadError> {
        let usage = self.usage().await?;
        // An empty stream may call 0 its first, and the server refuses to look there.
        let (mut low, mut high) = (usage.first_sequence.max(1), usage.last_sequence + 1);
        while low < high {
            let middle = u64::midpoint(low, high);
            let message = retried(|| self.store.get(middle)).await?;
            // A hole says nothing of times. A reader that follows from here on is told of it.
            if message.is_none_or(|message| message.stored_at < time) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Returns the sequence of the first submission of a queue behind another sequence, or of what
    /// stands in its place.
    pub async fn first_in_queue(
        &self,
        queue: &QueueName,
        after: u64,
    ) -> Result<Option<u64>, ReadError> {
        let filter = queue.filter();
        let found = retried(|| self.store.next(&filter, after + 1)).await?;
        Ok(found.map(|message| message.sequence))
    }

    /// Returns how full the ledger is. command-api stops admitting submissions before it is full,
    /// so that outcomes have room.
    pub async fn usage(&self) -> Result<StorageUsage, ReadError> {
        retried(|| self.store.usage()).await
    }

    async fn fold(&self, filter: &str) -> Result<Option<Aggregate>, ReadError> {
        match self.standing(filter).await? {
            Standing::Accepted(stored) => self.fold_from(*stored).await.map(Some),
            Standing::Foreign { last: _ } | Standing::Unseen => Ok(None),
        }
    }

    /// Reads what follows an accepted event, and folds all of it.
    pub(crate) async fn fold_from(&self, accepted: Stored) -> Result<Aggregate, ReadError> {
        let mut aggregate = Aggregate::begin(accepted.subject, accepted.recorded)?;
        let subject = aggregate.subject.clone();
        self.each_outcome(&subject, |entry| aggregate.take_in(&entry)).await?;
        Ok(aggregate)
    }

    /// Returns what stands under a filter of accepted events.
    pub(crate) async fn standing(&self, filter: &str) -> Result<Standing, ReadError> {
        let Some(message) = self.last(filter).await? else { return Ok(Standing::Unseen) };
        let last = message.sequence;
        if let Some(accepted) = accepted(message)? {
            return Ok(Standing::Accepted(Box::new(accepted)));
        }
        // What no writer of ours wrote may stand behind the event, and before it.
        let mut from = 1;
        loop {
            let found = retried(|| self.store.next(filter, from)).await?;
            // A leader that was just elected may not have them yet, nor an event between them.
            let Some(message) = found else { return Ok(Standing::Unseen) };
            if message.sequence >= last {
                return Ok(Standing::Foreign { last });
            }
            from = message.sequence + 1;
            if let Some(accepted) = accepted(message)? {
                return Ok(Standing::Accepted(Box::new(accepted)));
            }
        }
    }

    /// Reads what follows an accepted event: the end first, so that an event that is appended
    /// meanwhile is left for the next read. One entry after another, since foreign ones are many
    /// and large at their writer's will.
    async fn each_outcome(
        &self,
        accepted: &Subject,
        mut take: impl FnMut(LedgerEntry),
    ) -> Result<(), ReadError> {
        let outcome = accepted.in_family(Family::Outcome).to_string();
        let Some(last) = self.last(&outcome).await? else { return Ok(()) };
        let mut from = 1;
        while from < last.sequence {
            // Requests, not a consumer: the end is known, and the server would have to make and
            // remove a consumer for each read.
            let found = retried(|| self.store.next(&outcome, from)).await?;
            let Some(message) = found.filter(|message| message.sequence < last.sequence) else {
                break;
            };
            from = message.sequence + 1;
            take(LedgerEntry::read(message)?);
        }
        take(LedgerEntry::read(last)?);
        Ok(())
    }

    async fn last(&self, filter: &str) -> Result<Option<Message>, ReadError> {
        retried(|| self.store.last(filter)).await
    }
}

fn event(entry: LedgerEntry) -> Option<Stored> {
    match entry {
        LedgerEntry::Event(stored) => Some(*stored),
        LedgerEntry::Foreign(_) => None,
    }
}

/// Reads an accepted event. Anything else but a newer form is passed by.
fn accepted(message: Message) -> Result<Option<Stored>, ReadError> {
    let stored = event(LedgerEntry::read(message)?);
    Ok(stored.filter(|stored| matches!(stored.recorded.envelope.event, Event::Accepted(_))))
}

/// Repeats a read, which changes nothing, until it is answered or the deadline has come.
pub(crate) async fn retried<T, F>(read: impl Fn() -> F) -> Result<T, ReadError>
where
    F: Future<Output = Result<T, Fault>>,
{
    let deadline = Instant::now() + READ_DEADLINE;
    read.retry(QUICK).adjust(until(deadline)).await.map_err(ReadError::Unavailable)
}
