//! A delivered submission, and the ways to answer for it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Acker;
use async_trait::async_trait;
use events::Timestamp;

use crate::aggregate::Aggregate;
use crate::entry::Stored;
use crate::error::{QueueError, ReadError};

/// How old a submission may be of which most likely nothing else stands in the ledger.
const NEW_TIME_MAX: Duration = Duration::from_secs(1);

/// The handle of one delivery, which takes the answers for it.
///
/// Answers are sent and not confirmed: one that is lost leads to a redelivery, and the fold shows
/// then that there is nothing to do.
#[async_trait]
pub trait Acknowledge: Debug + Send + Sync {
    /// It is done: never deliver it again. Only after the terminal event stands.
    async fn ack(&self) -> Result<(), QueueError>;
    /// Not now: deliver it again after `delay`.
    async fn nak(&self, delay: Duration) -> Result<(), QueueError>;
    /// It is being worked on: begin the ack wait anew. To be said at least every third of one.
    async fn in_progress(&self) -> Result<(), QueueError>;
}

/// See [`Acknowledge`].
pub type Receipt = Arc<dyn Acknowledge>;

/// A submission to be run.
#[derive(Clone, Debug)]
pub struct Job {
    /// Folded from the accepted event alone. A conflict at the first append reads the rest.
    pub aggregate: Aggregate,
    /// The trace context of the request that it came with.
    pub traceparent: Option<String>,
    /// How often it was delivered, as far as the server remembers. Decides nothing: it can go back
    /// over a crash.
    pub delivered: u64,
    /// Answers for it.
    pub receipt: Receipt,
}

impl Job {
    /// Puts a delivery together. An event that is not an accepted one is an error.
    pub fn new(stored: Stored, delivered: u64, receipt: Receipt) -> Result<Self, ReadError> {
        let traceparent = stored.recorded.envelope.traceparent.clone();
        let aggregate = Aggregate::begin(stored.subject, stored.recorded)?;
        Ok(Self { aggregate, traceparent, delivered, receipt })
    }

    /// Tells whether most likely nothing has happened since it was accepted, so that an append may
    /// be tried before a read.
    pub fn is_new(&self, now: Timestamp) -> bool {
        // Not by the count alone: a durable that was made anew delivers everything for the first
        // time. The two clocks may differ, which at worst costs a read or a conflict.
        self.delivered <= 1 && now < self.aggregate.submission.accepted_at + NEW_TIME_MAX
    }
}

/// Answers over JetStream.
pub(super) struct Delivery(pub(super) Acker);

impl Delivery {
    /// It is no submission: never deliver it again.
    pub(super) async fn terminate(&self) -> Result<(), QueueError> {
        self.say(AckKind::Term).await
    }

    async fn say(&self, kind: AckKind) -> Result<(), QueueError> {
        // Not `double_ack`: a lost answer costs one redelivery, and a confirmation costs each job a
        // round trip.
        self.0.ack_with(kind).await.map_err(QueueError)
    }
}

#[async_trait]
impl Acknowledge for Delivery {
    async fn ack(&self) -> Result<(), QueueError> {
        self.say(AckKind::Ack).await
    }

    async fn nak(&self, delay: Duration) -> Result<(), QueueError> {
        // Without a delay the server redelivers at once, and the short form says so.
        self.say(AckKind::Nak(Some(delay).filter(|delay| !delay.is_zero()))).await
    }

    async fn in_progress(&self) -> Result<(), QueueError> {
        self.say(AckKind::Progress).await
    }
}

impl Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Delivery")
    }
}

/// Returns how long a delivery stays away: `first`, doubled with each further one, up to `max`.
pub fn redelivery_delay(delivered: u64, first: Duration, max: Duration) -> Duration {
    // The count can go back over a crash of the server: then the delays begin anew.
    let doublings = u32::try_from(delivered.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    first.saturating_mul(2_u32.pow(doublings)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_its_bound() {
        let seconds = |delivered| {
            redelivery_delay(delivered, Duration::from_secs(2), Duration::from_mins(1)).as_secs()
        };
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(seconds), [2, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds(u64::MAX), 60);
    }
}
