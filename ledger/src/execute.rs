//! Putting an event into the ledger: decide on the fold, append, fold what was appended.

use events::envelope::{Predecessor, Writer};
use events::event::Accepted;
use events::subject::Family;
use events::submission::decide;
use events::{Envelope, Event, Recorded, Subject, SubmissionId};
use tokio::time::Instant;

use crate::aggregate::{Aggregate, Stored};
use crate::append::{Placed, append};
use crate::error::ExecuteError;
use crate::ledger::Ledger;
use crate::metrics;
use crate::store::{Expected, Message, Publication};

/// What became of a new submission.
#[derive(Clone, Debug)]
pub enum Accepting {
    /// It is in the ledger.
    New(Aggregate),
    /// Its id is taken: this is the submission that has it.
    Existing(Aggregate),
}

impl Ledger {
    /// Decides and appends; on a conflict reads again and decides again. On `Ok` the aggregate holds the new state.
    ///
    /// Of a cancellation and its request the request decides: once it stands, the cancellation that could not be added
    /// now is added by the executor that gets the submission.
    pub async fn execute(
        &self,
        aggregate: &mut Aggregate,
        event: Event,
        writer: &Writer,
    ) -> Result<Vec<Recorded>, ExecuteError> {
        let deadline = Instant::now() + self.deadline;
        loop {
            let events = decide(&aggregate.fold, event.clone())?;
            let appended = self.append_all(aggregate, events, writer, deadline).await?;
            if !appended.is_empty() {
                return Ok(appended);
            }
            metrics::conflicted();
            self.reload(aggregate).await?;
        }
    }

    /// Puts a new submission into the ledger, and so into the queue.
    ///
    /// An id is taken once, whatever lane and pool a second request names: the condition spans them all, and every
    /// writer of accepted events uses this one condition.
    pub async fn accept(
        &self,
        id: SubmissionId,
        accepted: Accepted,
        writer: &Writer,
    ) -> Result<Accepting, ExecuteError> {
        let deadline = Instant::now() + self.deadline;
        let subject = Subject {
            family: Family::Submission,
            lane: accepted.lane,
            pool: accepted.pool.clone(),
            id,
        };
        let offer = Offered {
            envelope: self.envelope(id, Event::Accepted(Box::new(accepted)), writer, None),
            expected: Expected::NoneMatching(Subject::lookup_filter(Family::Submission, id)),
            subject,
        };
        if let Some(stored) = self.offer(&offer, deadline).await? {
            return Ok(Accepting::New(Aggregate::begin(&stored)));
        }
        let standing = self.load(id).await?;
        standing.map(Accepting::Existing).ok_or_else(|| unseen(&offer.subject))
    }

    /// Appends decided events one after another. Empty when the first one met a conflict.
    async fn append_all(
        &self,
        aggregate: &mut Aggregate,
        events: Vec<Event>,
        writer: &Writer,
        deadline: Instant,
    ) -> Result<Vec<Recorded>, ExecuteError> {
        let mut events = events.into_iter();
        let Some(first) = events.next() else {
            return Ok(Vec::new());
        };
        let first = self.append_one(aggregate, first, writer, deadline).await?;
        let mut appended = Vec::from_iter(first);
        if appended.is_empty() {
            return Ok(appended);
        }
        for event in events {
            match self.append_next(aggregate, event, writer, deadline).await {
                Ok(Some(recorded)) => appended.push(recorded),
                Ok(None) => break,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, submission.id = %aggregate.id(), "left to the next reader");
                    break;
                }
            }
        }
        Ok(appended)
    }

    /// Appends a further event of a list, unless somebody else has ended the submission meanwhile.
    async fn append_next(
        &self,
        aggregate: &mut Aggregate,
        event: Event,
        writer: &Writer,
        deadline: Instant,
    ) -> Result<Option<Recorded>, ExecuteError> {
        loop {
            let appended = self.append_one(aggregate, event.clone(), writer, deadline).await?;
            if appended.is_some() {
                return Ok(appended);
            }
            metrics::conflicted();
            self.reload(aggregate).await?;
            if aggregate.submission().is_none_or(|submission| submission.state.is_terminal()) {
                return Ok(None);
            }
        }
    }

    async fn append_one(
        &self,
        aggregate: &mut Aggregate,
        event: Event,
        writer: &Writer,
        deadline: Instant,
    ) -> Result<Option<Recorded>, ExecuteError> {
        let offer = Offered {
            subject: aggregate.subject.in_family(Family::Outcome),
            envelope: self.envelope(aggregate.id(), event, writer, aggregate.head),
            expected: Expected::Last(aggregate.outcome_sequence),
        };
        let stored = self.offer(&offer, deadline).await?;
        Ok(stored.map(|stored| {
            aggregate.push(&stored.recorded);
            stored.recorded
        }))
    }

    fn envelope(
        &self,
        id: SubmissionId,
        event: Event,
        writer: &Writer,
        head: Option<Predecessor>,
    ) -> Envelope {
        Envelope::new(id, event, writer, head, self.clock.now())
    }

    /// Offers one event. None when another one stands in its place.
    async fn offer(
        &self,
        offer: &Offered,
        deadline: Instant,
    ) -> Result<Option<Stored>, ExecuteError> {
        let began = Instant::now();
        let publication = offer.publication();
        let placed = append(self.store.as_ref(), &publication, deadline).await?;
        metrics::appended(began.elapsed());
        let message = match placed {
            Placed::Conflict => return Ok(None),
            Placed::Earlier(message) => message,
            Placed::Now(sequence) => {
                let stored_at = self.clock.now();
                let Publication { subject, id, payload, .. } = publication;
                Message { subject, sequence, stored_at, id: Some(id), payload }
            }
        };
        Ok(Some(Stored::read(message)?))
    }

    async fn reload(&self, aggregate: &mut Aggregate) -> Result<(), ExecuteError> {
        let fresh = self.load_at(&aggregate.subject).await?;
        *aggregate = fresh.ok_or_else(|| unseen(&aggregate.subject))?;
        Ok(())
    }
}

/// A conflict was seen on the leader, so something stands there; only a leader that has just changed may not know.
fn unseen(subject: &Subject) -> ExecuteError {
    let last = format!("what stands under {subject} is not to be seen yet").into();
    ExecuteError::Unavailable { maybe_stored: false, last }
}

/// An event with its place and its condition.
struct Offered {
    subject: Subject,
    envelope: Envelope,
    expected: Expected,
}

impl Offered {
    fn publication(&self) -> Publication {
        Publication {
            subject: self.subject.to_string(),
            id: self.envelope.id.to_string(),
            expected: self.expected.clone(),
            kind: self.envelope.event.kind(),
            traceparent: self.envelope.traceparent.clone(),
            payload: self.envelope.encode().into(),
        }
    }
}
