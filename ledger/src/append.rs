//! One event into the store, whatever happens on the way. Knows no rules of submissions.

use std::sync::atomic::{AtomicBool, Ordering};

use backon::Retryable as _;
use tokio::time::{Instant, timeout_at};

use crate::error::{ExecuteError, Fault};
use crate::metrics;
use crate::retry::{QUICK, until};
use crate::store::{EventStore, Expected, Message, Publication, PublishError};

/// What became of an event that was offered.
#[derive(Debug)]
pub(crate) enum Placed {
    /// This offer stands at this sequence.
    Now(u64),
    /// An earlier try of ours stands: these are its bytes, whose time may differ from this offer's.
    Earlier(Message),
    /// Another event stands where ours was to be. Ours is not stored, and never will be on this
    /// condition.
    Conflict,
}

/// Offers `publication` until its fate is known, or until the deadline.
pub(crate) async fn append(
    store: &dyn EventStore,
    publication: &Publication,
    deadline: Instant,
) -> Result<Placed, ExecuteError> {
    let offer = Offer { store, publication, deadline, in_doubt: AtomicBool::new(false) };
    (|| offer.publish_once())
        .retry(QUICK)
        // The same bytes are offered under the same id and condition each time, so a repetition
        // cannot store the event twice.
        .when(|error| matches!(error, ExecuteError::Unavailable { .. }))
        .adjust(until(deadline))
        .notify(|_error, _wait| metrics::retried())
        .await
}

struct Offer<'a> {
    store: &'a dyn EventStore,
    publication: &'a Publication,
    deadline: Instant,
    /// Whether a try was sent whose answer never came. From then on a refusal says nothing about
    /// that try.
    in_doubt: AtomicBool,
}

impl Offer<'_> {
    /// Tries once. `Unavailable` means that the next try may tell more.
    async fn publish_once(&self) -> Result<Placed, ExecuteError> {
        let published = timeout_at(self.deadline, self.store.publish(self.publication)).await;
        // A publish that is cut off by the deadline may have been sent, so it counts as unknown.
        match published.unwrap_or_else(|late| Err(PublishError::Unknown(late.into()))) {
            Ok(ack) if !ack.duplicate => Ok(Placed::Now(ack.sequence)),
            Ok(ack) => self.check_duplicate(ack.sequence).await,
            // A server without replicas checks the sequence before the id, so our own earlier try
            // is refused with the same words as a conflict.
            Err(error @ (PublishError::WrongLast | PublishError::InFlight)) => {
                self.look_up(error).await
            }
            Err(error @ PublishError::Unknown(_)) => {
                metrics::unknown();
                self.in_doubt.store(true, Ordering::Relaxed);
                Err(self.unavailable(error))
            }
            Err(error @ PublishError::Away(_)) => Err(self.unavailable(error)),
            // This try was refused, but an earlier try may still be on its way.
            Err(error) if self.in_doubt.load(Ordering::Relaxed) => self.look_up(error).await,
            Err(PublishError::Full) => Err(ExecuteError::Full),
            Err(PublishError::SubjectFull) => Err(ExecuteError::SubjectFull),
            Err(PublishError::TooLarge) => Err(ExecuteError::TooLarge),
            Err(PublishError::Refused(fault)) => Err(ExecuteError::Refused(fault)),
        }
    }

    /// Reads what stands where this event was to be.
    async fn look_up(&self, why: impl Into<Fault>) -> Result<Placed, ExecuteError> {
        match timeout_at(self.deadline, self.message_in_place()).await {
            Ok(Ok(Some(message))) if message.id.as_deref() == Some(&self.publication.id) => {
                Ok(Placed::Earlier(message))
            }
            // The condition can never hold again, so an earlier try of ours that is still on its
            // way is refused as well.
            Ok(Ok(Some(_))) => Ok(Placed::Conflict),
            // A write is on its way, or the leader has just changed: the next try will tell.
            Ok(Ok(None)) => Err(self.unavailable(why)),
            Ok(Err(fault)) => Err(self.unavailable(fault)),
            Err(late) => Err(self.unavailable(late)),
        }
    }

    /// A store remembers ids across subjects, so a duplicate proves nothing until it is seen.
    async fn check_duplicate(&self, sequence: u64) -> Result<Placed, ExecuteError> {
        let again = match self.look_up("the duplicate cannot be seen yet").await {
            Ok(placed) => return Ok(placed),
            Err(again) => again,
        };
        match timeout_at(self.deadline, self.store.get(sequence)).await {
            // Trying again cannot help: the server will call the event a duplicate as long as it
            // remembers the id.
            Ok(Ok(Some(message))) if message.subject != self.publication.subject => {
                let elsewhere = format!("its id stands under {} already", message.subject);
                Err(ExecuteError::Refused(elsewhere.into()))
            }
            Ok(Ok(_)) | Err(_) => Err(again),
            Ok(Err(fault)) => Err(self.unavailable(fault)),
        }
    }

    async fn message_in_place(&self) -> Result<Option<Message>, Fault> {
        match &self.publication.expected {
            // Not the last message of the subject: another event may follow ours by now, and it
            // would be taken for a conflict.
            Expected::Last(last) => self.store.next(&self.publication.subject, last + 1).await,
            Expected::LastMatching { filter, last } => {
                let found = self.store.last(filter).await?;
                Ok(found.filter(|message| message.sequence > *last))
            }
        }
    }

    fn unavailable(&self, last: impl Into<Fault>) -> ExecuteError {
        let maybe_stored = self.in_doubt.load(Ordering::Relaxed);
        ExecuteError::Unavailable { maybe_stored, last: last.into() }
    }
}
