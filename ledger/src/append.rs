//! One event into the store, whatever happens on the way (design §4.4, steps 2 to 6). Knows no rules of submissions.

use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use crate::error::{ExecuteError, Fault};
use crate::metrics;
use crate::store::{EventStore, Expected, Message, Publication, PublishError};

/// What became of an event that was offered.
#[derive(Debug)]
pub(crate) enum Placed {
    /// This offer stands at this sequence.
    Now(u64),
    /// An earlier try of ours stands: these are its bytes, whose time may differ from this offer's.
    Earlier(Message),
    /// Another event stands where ours was to be. Ours is not stored, and never will be on this condition.
    Conflict,
}

/// Offers `publication` until its fate is known, or until the deadline.
pub(crate) async fn append(
    store: &dyn EventStore,
    publication: &Publication,
    deadline: Instant,
) -> Result<Placed, ExecuteError> {
    let mut offer = Offer { store, publication, in_doubt: false };
    let mut backoff = Backoff::quick();
    loop {
        let fault = match offer.once(deadline).await? {
            Step::Done(placed) => return Ok(placed),
            Step::Again(fault) => fault,
        };
        metrics::retried();
        if !backoff.wait_until(deadline).await {
            return Err(ExecuteError::Unavailable { maybe_stored: offer.in_doubt, last: fault });
        }
    }
}

/// What one try taught us.
enum Step {
    Done(Placed),
    Again(Fault),
}

struct Offer<'a> {
    store: &'a dyn EventStore,
    publication: &'a Publication,
    /// Whether a try was sent whose answer never came. From then on a refusal says nothing about that try.
    in_doubt: bool,
}

impl Offer<'_> {
    async fn once(&mut self, deadline: Instant) -> Result<Step, ExecuteError> {
        let published = timeout_at(deadline, self.store.publish(self.publication)).await;
        let answer = published.unwrap_or_else(|late| Err(PublishError::Unknown(late.into())));
        match answer {
            Ok(ack) if !ack.duplicate => Ok(Step::Done(Placed::Now(ack.sequence))),
            Ok(ack) => self.check_duplicate(deadline, ack.sequence).await,
            Err(error @ (PublishError::WrongLast | PublishError::InFlight)) => {
                Ok(self.look(deadline, error).await)
            }
            Err(error @ PublishError::Unknown(_)) => {
                metrics::unknown();
                self.in_doubt = true;
                Ok(Step::Again(error.into()))
            }
            Err(error @ PublishError::Away(_)) => Ok(Step::Again(error.into())),
            // This try was refused, but an earlier one may be on its way still.
            Err(error) if self.in_doubt => Ok(self.look(deadline, error).await),
            Err(error) => Err(refusal(error)),
        }
    }

    /// Reads what stands where this event was to be.
    async fn look(&self, deadline: Instant, why: impl Into<Fault>) -> Step {
        match timeout_at(deadline, self.standing()).await {
            Ok(Ok(Some(message))) if message.id.as_deref() == Some(&self.publication.id) => {
                Step::Done(Placed::Earlier(message))
            }
            Ok(Ok(Some(_))) => Step::Done(Placed::Conflict),
            // A write is on its way, or the leader has just changed: the next try will tell.
            Ok(Ok(None)) => Step::Again(why.into()),
            Ok(Err(fault)) => Step::Again(fault),
            Err(late) => Step::Again(late.into()),
        }
    }

    /// A store remembers ids across subjects, so a duplicate proves nothing until it is seen.
    async fn check_duplicate(
        &self,
        deadline: Instant,
        sequence: u64,
    ) -> Result<Step, ExecuteError> {
        let again = match self.look(deadline, "the duplicate is not to be seen yet").await {
            Step::Done(placed) => return Ok(Step::Done(placed)),
            Step::Again(fault) => fault,
        };
        match timeout_at(deadline, self.store.get(sequence)).await {
            Ok(Ok(Some(message))) if message.subject != self.publication.subject => {
                let elsewhere = format!("its id stands under {} already", message.subject);
                Err(ExecuteError::Refused(elsewhere.into()))
            }
            Ok(Ok(_)) | Err(_) => Ok(Step::Again(again)),
            Ok(Err(fault)) => Ok(Step::Again(fault)),
        }
    }

    async fn standing(&self) -> Result<Option<Message>, Fault> {
        match &self.publication.expected {
            Expected::Last(last) => self.store.next(&self.publication.subject, last + 1).await,
            Expected::NoneMatching(filter) => self.store.last(filter).await,
        }
    }
}

/// What a refusal means for an event that was never sent before.
fn refusal(error: PublishError) -> ExecuteError {
    match error {
        PublishError::Full => ExecuteError::Full,
        PublishError::SubjectFull => ExecuteError::SubjectFull,
        PublishError::TooLarge => ExecuteError::TooLarge,
        PublishError::Refused(fault) => ExecuteError::Refused(fault),
        PublishError::WrongLast
        | PublishError::InFlight
        | PublishError::Away(_)
        | PublishError::Unknown(_) => {
            ExecuteError::Unavailable { maybe_stored: true, last: error.into() }
        }
    }
}
