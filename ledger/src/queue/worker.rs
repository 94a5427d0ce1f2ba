//! An executor's end of the queue: as many jobs as it has room for, and none ahead of that.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, consumer::PullConsumer};
use futures::FutureExt as _;
use tokio::time::{Instant, timeout};
use tracing::{debug, error};

use super::consumer::Durable;
use super::job::{Acknowledge, Delivery, Job, Receipt, redelivery_delay};
use super::pull::{Arrival, EXPIRES_MIN, Pull};
use crate::aggregate::Stored;
use crate::error::{Fault, QueueError, ReadError};
use crate::link::Link;
use crate::metrics;
use crate::store::Message;

/// How long a job that this program cannot read is left to a newer one, the first time.
const UNREADABLE_DELAY: Duration = Duration::from_secs(5);
/// The same after many times.
const UNREADABLE_DELAY_MAX: Duration = Duration::from_mins(5);
/// How long a delivery that is not a submission stays away. It comes back for ever, since events
/// cannot be removed.
const FOREIGN_DELAY: Duration = Duration::from_mins(1);

/// How long jobs that have arrived wait for the rest of what the server sends at once.
const END_MAX: Duration = Duration::from_millis(20);

/// One worker of a queue.
#[derive(Debug)]
pub struct Worker {
    durable: Durable,
    consumer: PullConsumer,
    /// Whether the consumer must be looked at before the next request.
    in_doubt: bool,
    pull: Pull,
    /// Jobs that a dropped fetch had received.
    ready: Vec<Job>,
}

impl Worker {
    pub(super) async fn join(durable: Durable, link: Link) -> Result<Self, QueueError> {
        let consumer = durable.ensure().await.map_err(QueueError)?;
        let pull = Pull::open(&durable.context.client(), &link).await.map_err(QueueError)?;
        Ok(Self { durable, consumer, in_doubt: false, pull, ready: Vec::new() })
    }

    /// Waits up to `expires` (at least a second) for jobs, and returns as soon as there are any: at
    /// most `max`.
    ///
    /// May be dropped at any time; what had arrived is returned by the next fetch. Empty when
    /// nothing came.
    pub async fn fetch(&mut self, max: usize, expires: Duration) -> Result<Vec<Job>, QueueError> {
        let max = max.max(1);
        let deadline = Instant::now() + expires.max(EXPIRES_MIN);
        // A request that delivers ends at once, so that this leaves nothing in the inbox for later.
        while self.ready.is_empty() || self.pull.is_waiting() {
            self.ask(max, deadline).await?;
            match self.arrival().await {
                Arrival::Delivery(message) => self.take(message).await?,
                Arrival::Over if self.ready.is_empty() && Instant::now() < deadline => {}
                Arrival::Over => break,
                Arrival::Broken(fault) => {
                    self.in_doubt = true;
                    // Jobs that have arrived are ours. If the fault lasts, the next fetch meets it.
                    if self.ready.is_empty() {
                        return Err(QueueError(fault));
                    }
                    break;
                }
            }
        }
        Ok(self.hand_out(max).await)
    }

    /// Tells whether a request of a dropped fetch still waits, as far as is known here.
    pub const fn is_waiting(&self) -> bool {
        self.pull.is_waiting()
    }

    /// Returns a job that waits in the queue by now; nothing if none does.
    pub async fn fetch_now(&mut self) -> Result<Option<Job>, QueueError> {
        while self.ready.is_empty() && self.pull.is_waiting() {
            // The request of a dropped fetch has found nothing. What came later was sent here.
            let Some(arrival) = self.pull.next().now_or_never() else { return Ok(None) };
            self.receive(arrival).await?;
        }
        if self.ready.is_empty() {
            self.ask_once(1, None).await.map_err(QueueError)?;
            while self.pull.is_waiting() {
                let arrival = self.pull.next().await;
                self.receive(arrival).await?;
            }
        }
        Ok(self.hand_out(1).await.pop())
    }

    /// Waits for what a dropped fetch had asked for; for ever if it has come, or is over.
    pub async fn straggler(&mut self) -> Job {
        while self.ready.is_empty() && self.pull.is_waiting() {
            let arrival = self.pull.next().await;
            // A fault is met again by the next fetch.
            drop(self.receive(arrival).await);
        }
        match self.ready.pop() {
            Some(job) => job,
            None => std::future::pending().await,
        }
    }

    async fn receive(&mut self, arrival: Arrival) -> Result<(), QueueError> {
        match arrival {
            Arrival::Delivery(message) => self.take(message).await,
            Arrival::Over => Ok(()),
            Arrival::Broken(fault) => {
                self.in_doubt = true;
                Err(QueueError(fault))
            }
        }
    }

    /// Takes no more, and hands back what was on its way.
    pub async fn close(self) {
        // What is not handed back reaches no other executor before its ack wait is over.
        for message in self.pull.close().await {
            let (_, acker) =
                jetstream::Message { message, context: self.durable.context.clone() }.split();
            hand_back(&Delivery(acker), Duration::ZERO).await;
        }
        for job in self.ready {
            hand_back(job.receipt.as_ref(), Duration::ZERO).await;
        }
    }

    async fn arrival(&mut self) -> Arrival {
        if self.ready.is_empty() {
            return self.pull.next().await;
        }
        // The server ends the request right after it has delivered. If that status is late, the
        // jobs must not wait for it.
        timeout(END_MAX, self.pull.next()).await.unwrap_or(Arrival::Over)
    }

    async fn ask(&mut self, max: usize, deadline: Instant) -> Result<(), QueueError> {
        let expires = deadline.saturating_duration_since(Instant::now()).max(EXPIRES_MIN);
        self.ask_once(max, Some(expires)).await.map_err(QueueError)
    }

    async fn ask_once(&mut self, max: usize, expires: Option<Duration>) -> Result<(), Fault> {
        // Only after a fault: a lookup before each request would double the requests.
        if self.in_doubt {
            self.consumer = self.durable.ensure().await?;
            self.in_doubt = false;
        }
        self.pull.request(&self.consumer, max, expires).await
    }

    async fn take(&mut self, message: async_nats::Message) -> Result<(), QueueError> {
        let message = jetstream::Message { message, context: self.durable.context.clone() };
        let (sequence, delivered, stored_at) = match message.info() {
            Ok(info) => (info.stream_sequence, info.delivered, info.published),
            Err(fault) => return Err(QueueError(fault)),
        };
        let (message, acker) = message.split();
        let receipt: Receipt = Arc::new(Delivery(acker));
        let message = Message {
            subject: message.subject.into_string(),
            sequence,
            stored_at,
            // Only the append compares ids.
            id: None,
            payload: message.payload,
        };
        let delivered = u64::try_from(delivered).unwrap_or(0);
        let read = Stored::read(message);
        match read.and_then(|stored| Job::new(stored, delivered, receipt.clone())) {
            Ok(job) => self.ready.push(job),
            Err(error) => {
                error!(
                    error = &error as &dyn Error,
                    "a delivery is no submission that can be read"
                );
                metrics::unreadable();
                hand_back(receipt.as_ref(), unreadable_delay(&error, delivered)).await;
            }
        }
        Ok(())
    }

    /// Returns what is ready; what is more than wanted now goes to others at once.
    async fn hand_out(&mut self, max: usize) -> Vec<Job> {
        // A fetch that was dropped may have asked for more than this one.
        let rest = self.ready.split_off(max.min(self.ready.len()));
        for job in rest {
            hand_back(job.receipt.as_ref(), Duration::ZERO).await;
        }
        std::mem::take(&mut self.ready)
    }
}

/// Returns how long a delivery stays away that this program cannot read. The jobs behind it need
/// not wait, and a newer executor of the pool may read it.
fn unreadable_delay(error: &ReadError, delivered: u64) -> Duration {
    // The event itself can be read, so no other version will find a job in it.
    if matches!(error, ReadError::NotAccepted { .. }) {
        return FOREIGN_DELAY;
    }
    redelivery_delay(delivered, UNREADABLE_DELAY, UNREADABLE_DELAY_MAX)
}

/// Best effort: what cannot be handed back is delivered again after the ack wait.
async fn hand_back(receipt: &dyn Acknowledge, delay: Duration) {
    if let Err(error) = receipt.nak(delay).await {
        debug!(error = &error as &dyn Error, "a delivery could not be handed back");
    }
}
