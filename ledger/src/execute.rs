//! Putting an event into the ledger: decide on the fold, append, fold what was appended.

use std::error::Error;

use bytes::Bytes;
use events::envelope::Writer;
use events::event::Accepted;
use events::subject::Family;
use events::submission::decide;
use events::{Digest, Envelope, Event, Recorded, Subject, SubmissionId};
use tokio::time::Instant;
use tracing::warn;

use crate::aggregate::Aggregate;
use crate::append::{Placed, append};
use crate::entry::LedgerEntry;
use crate::error::ExecuteError;
use crate::ledger::Ledger;
use crate::metrics;
use crate::read::Standing;
use crate::retry::{PATIENT, Waits};
use crate::store::{Expected, Publication, STALE_LEADER_TIME};

/// What became of a new submission.
#[derive(Clone, Debug)]
pub enum Accepting {
    /// It is in the ledger.
    New(Aggregate),
    /// Its key part is taken: this is the submission that has it.
    Existing(Aggregate),
}

impl Ledger {
    /// Decides and appends; on a conflict reads again and decides again. On `Ok` the aggregate
    /// holds the new state.
    ///
    /// A cancellation that could not be appended after its request is not an error: the request
    /// stands, and the executor that gets the submission adds the cancellation.
    ///
    /// That the submission is gone is told to a caller that tries again with the same aggregate:
    /// only time tells a ledger that has lost it from a leader that is cut off.
    pub async fn execute(
        &self,
        aggregate: &mut Aggregate,
        event: Event,
        writer: &Writer,
    ) -> Result<Vec<Recorded>, ExecuteError> {
        // One deadline for all rounds: writers that keep meeting must not hold a request for ever.
        let deadline = Instant::now() + self.deadline;
        let mut append = Append { ledger: self, aggregate, writer, deadline };
        loop {
            // Decided anew in each round, since what stands now may forbid what was legal before.
            let events = decide(Some(&append.aggregate.submission), event.clone())?;
            let appended = append.all(events).await;
            // A condition on what is gone can neither hold nor be seen to fail.
            let is_unknown = matches!(appended, Err(ExecuteError::Unavailable { .. }));
            if is_unknown && append.note_if_missing().await {
                return Err(ExecuteError::Gone);
            }
            let appended = appended?;
            if !appended.is_empty() {
                return Ok(appended);
            }
            append.reload().await?;
        }
    }

    /// Puts a new submission into the ledger, and so into the queue.
    ///
    /// A key part is taken once, whatever lane, priority, pool and time a second request gets: the
    /// condition spans them all, and every writer of accepted events uses this one condition. What
    /// no writer of ours wrote takes no key part.
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
            priority: accepted.priority,
            pool: accepted.pool.clone(),
            id,
        };
        let event = Event::Accepted(Box::new(accepted));
        let (envelope, payload) = Envelope::write(id, event, writer, None, self.clock.now());
        let (filter, payload) = (Subject::key_filter(id), Bytes::from(payload));
        let mut last = 0;
        loop {
            let expected = Expected::LastMatching { filter: filter.clone(), last };
            let publication = publication(&subject, expected, &envelope, payload.clone());
            if let Some(recorded) = self.offer(&envelope, &publication, deadline).await? {
                return Ok(Accepting::New(Aggregate::begin(subject, recorded)?));
            }
            match self.standing(&filter).await? {
                Standing::Accepted(stored) => {
                    return Ok(Accepting::Existing(self.fold_from(*stored).await?));
                }
                Standing::Foreign { last: seen } if seen > last && Instant::now() < deadline => {
                    last = seen;
                }
                Standing::Foreign { last: _ } | Standing::Unseen => return Err(unseen(&subject)),
            }
        }
    }

    /// Offers one event. None when another one stands in its place.
    async fn offer(
        &self,
        envelope: &Envelope,
        publication: &Publication,
        deadline: Instant,
    ) -> Result<Option<Recorded>, ExecuteError> {
        let began = Instant::now();
        let placed = append(self.store.as_ref(), publication, deadline).await?;
        metrics::appended(began.elapsed());
        Ok(match placed {
            Placed::Conflict => None,
            // Read back, since the earlier try has another time, and so another digest, which the
            // next event must name.
            Placed::Earlier(message) => match LedgerEntry::read(message)? {
                LedgerEntry::Event(stored) => Some(stored.recorded),
                // Foreign bytes that were published under our id stand in the way as any other.
                LedgerEntry::Foreign(_) => None,
            },
            // Not read back: an acknowledgement says that these very bytes are stored, and a read
            // would add a round trip to each append.
            Placed::Now(sequence) => {
                let (stored_at, digest) = (self.clock.now(), Digest::of(&publication.payload));
                Some(Recorded { sequence, stored_at, digest, envelope: envelope.clone() })
            }
        })
    }
}

/// An aggregate whose next events are appended, all before one deadline.
struct Append<'a> {
    ledger: &'a Ledger,
    aggregate: &'a mut Aggregate,
    writer: &'a Writer,
    deadline: Instant,
}

impl Append<'_> {
    /// Appends decided events one after another. Empty when the first one met a conflict.
    async fn all(&mut self, events: Vec<Event>) -> Result<Vec<Recorded>, ExecuteError> {
        let mut events = events.into_iter();
        let Some(first) = events.next() else { return Ok(Vec::new()) };
        let Some(first) = self.one(first).await? else { return Ok(Vec::new()) };
        let mut appended = vec![first];
        // The first event stands, so the caller must not be told of a failure from here on: it
        // would repeat a command that is stored.
        for event in events {
            match self.further(event).await {
                Ok(Some(recorded)) => appended.push(recorded),
                Ok(None) => break,
                Err(error) => {
                    let error: &dyn Error = &error;
                    let id = self.aggregate.id();
                    warn!(error, submission.id = %id, "an event is left to the next executor");
                    break;
                }
            }
        }
        Ok(appended)
    }

    /// Appends a further event of a list, unless another writer has ended the submission meanwhile.
    async fn further(&mut self, event: Event) -> Result<Option<Recorded>, ExecuteError> {
        loop {
            let appended = self.one(event.clone()).await?;
            if appended.is_some() {
                return Ok(appended);
            }
            self.reload().await?;
            // A conflict alone does not void what was decided; only the submission's end does.
            if self.aggregate.submission.state.is_terminal() {
                return Ok(None);
            }
        }
    }

    /// Appends one event. None when it met a conflict.
    async fn one(&mut self, event: Event) -> Result<Option<Recorded>, ExecuteError> {
        let Self { ledger, aggregate, writer, deadline } = self;
        let (head, now) = (Some(aggregate.head), ledger.clock.now());
        let (envelope, payload) = Envelope::write(aggregate.id(), event, writer, head, now);
        // Never the submission's own subject: the work queue would deliver the event as a new job.
        let subject = aggregate.subject.in_family(Family::Outcome);
        let expected = Expected::Last(aggregate.outcome_sequence);
        let publication = publication(&subject, expected, &envelope, payload.into());
        let recorded = ledger.offer(&envelope, &publication, *deadline).await?;
        if let Some(recorded) = &recorded {
            aggregate.push(recorded);
        }
        Ok(recorded)
    }

    /// Notes since when the event is missing that the next one follows. True once that is longer
    /// than a leader that was cut off answers.
    async fn note_if_missing(&mut self) -> bool {
        let (last, digest) = (self.aggregate.submission.sequence, self.aggregate.head.digest);
        // A server that is away says nothing about the event, and another one may come back.
        let Ok(found) = self.ledger.store.get(last).await else {
            self.aggregate.missing_since = None;
            return false;
        };
        if found.is_some_and(|it| Digest::of(&it.payload) == digest) {
            self.aggregate.missing_since = None;
            return false;
        }
        let since = *self.aggregate.missing_since.get_or_insert_with(Instant::now);
        since.elapsed() >= STALE_LEADER_TIME
    }

    /// Reads the aggregate anew after a conflict.
    async fn reload(&mut self) -> Result<(), ExecuteError> {
        metrics::conflicted();
        let mut waits = Waits::of(PATIENT);
        // A leader that has just been elected may not know of it yet. One that never does has lost
        // it, and a writer that tried for ever would hold its place for ever.
        while Instant::now() < self.deadline {
            if let Some(fresh) = self.ledger.load_at(&self.aggregate.subject).await? {
                *self.aggregate = fresh;
                return Ok(());
            }
            waits.wait().await;
        }
        if self.note_if_missing().await {
            return Err(ExecuteError::Gone);
        }
        Err(unseen(&self.aggregate.subject))
    }
}

/// A conflict was seen on the leader, so something stands there. Only a leader that has just been
/// elected may not know of it.
fn unseen(subject: &Subject) -> ExecuteError {
    let last = format!("what stands under {subject} cannot be seen yet").into();
    ExecuteError::Unavailable { maybe_stored: false, last }
}

/// The message that stores an event.
fn publication(
    subject: &Subject,
    expected: Expected,
    envelope: &Envelope,
    payload: Bytes,
) -> Publication {
    Publication {
        subject: subject.to_string(),
        id: envelope.id.to_string(),
        expected,
        kind: envelope.event.kind(),
        traceparent: envelope.traceparent.clone(),
        payload,
    }
}
