//! An executor's end of the queue: as many jobs as it has room for, and none ahead of that.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::{self, consumer::PullConsumer};
use events::QueueName;
use futures::FutureExt as _;
use tokio::time::{Instant, timeout};
use tracing::{debug, error};

use super::consumer::find;
use super::job::{Acknowledge, Delivery, Job, Receipt, redelivery_delay};
use super::pull::{Arrival, EXPIRES_MIN, Pull};
use super::undeliverable::UndeliverableSearch;
use crate::entry::LedgerEntry;
use crate::error::{Fault, QueueError};
use crate::link::Link;
use crate::metrics;
use crate::store::Message;

/// How long a job that this program cannot read is left to a newer one, the first time.
const UNREADABLE_DELAY: Duration = Duration::from_secs(5);
/// The same after many times.
const UNREADABLE_DELAY_MAX: Duration = Duration::from_mins(5);
/// How long jobs that have arrived wait for the rest of what the server sends at once.
const END_MAX: Duration = Duration::from_millis(20);

/// One worker of a queue.
#[derive(Debug)]
pub struct Worker {
    context: Context,
    name: QueueName,
    consumer: PullConsumer,
    /// Whether the consumer must be looked at before the next request.
    in_doubt: bool,
    /// Whether a delivery may have broken the connection.
    was_broken: bool,
    undeliverable: UndeliverableSearch,
    pull: Pull,
    /// Jobs that a dropped fetch had received.
    ready: Vec<Job>,
}

impl Worker {
    pub(super) async fn join(
        context: Context,
        name: QueueName,
        link: &Link,
    ) -> Result<Self, QueueError> {
        let consumer = find(&context, &name).await.map_err(QueueError)?;
        let pull = Pull::open(&context.client(), link).await.map_err(QueueError)?;
        Ok(Self {
            context,
            name,
            consumer,
            in_doubt: false,
            was_broken: false,
            undeliverable: UndeliverableSearch::default(),
            pull,
            ready: Vec::new(),
        })
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
                Arrival::Reconnected => self.was_broken = true,
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
            Arrival::Reconnected => {
                self.was_broken = true;
                Ok(())
            }
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
            let (_, acker) = jetstream::Message { message, context: self.context.clone() }.split();
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
            self.consumer = find(&self.context, &self.name).await?;
            self.in_doubt = false;
        }
        if self.was_broken {
            self.was_broken = !self.undeliverable.go_on(&self.context, &self.name).await?;
        }
        self.pull.request(&self.consumer, max, expires).await
    }

    async fn take(&mut self, message: async_nats::Message) -> Result<(), QueueError> {
        let message = jetstream::Message { message, context: self.context.clone() };
        let (sequence, delivered, stored_at) = match message.info() {
            Ok(info) => (info.stream_sequence, info.delivered, info.published),
            Err(fault) => return Err(QueueError(fault)),
        };
        let (message, acker) = message.split();
        let delivery = Arc::new(Delivery(acker));
        let message = Message {
            subject: message.subject.into_string(),
            sequence,
            stored_at,
            // Only the append compares ids.
            id: None,
            payload: message.payload,
        };
        let delivered = u64::try_from(delivered).unwrap_or(0);
        match LedgerEntry::read(message) {
            Ok(LedgerEntry::Event(stored)) => {
                let receipt: Receipt = Arc::<Delivery>::clone(&delivery);
                match Job::new(*stored, delivered, receipt) {
                    Ok(job) => self.ready.push(job),
                    Err(error) => terminate(&delivery, sequence, &error.to_string()).await,
                }
            }
            Ok(LedgerEntry::Foreign(it)) => terminate(&delivery, sequence, &it.reason).await,
            // A newer executor of the pool may read it, and the jobs behind it need not wait.
            Err(error) => {
                error!(error = &error as &dyn Error, "a delivery cannot be read");
                metrics::unreadable();
                let delay = redelivery_delay(delivered, UNREADABLE_DELAY, UNREADABLE_DELAY_MAX);
                hand_back(delivery.as_ref(), delay).await;
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

/// Ends a delivery that no version will find a submission in. It stays in the ledger for ever, so
/// it would come back for ever.
async fn terminate(delivery: &Delivery, sequence: u64, why: &str) {
    error!(ledger.sequence = sequence, why, "a delivery is no submission");
    metrics::terminated();
    if let Err(error) = delivery.terminate().await {
        debug!(error = &error as &dyn Error, "a delivery was not ended, and comes again");
    }
}

/// Best effort: what cannot be handed back is delivered again after the ack wait.
async fn hand_back(receipt: &dyn Acknowledge, delay: Duration) {
    if let Err(error) = receipt.nak(delay).await {
        debug!(error = &error as &dyn Error, "a delivery could not be handed back");
    }
}
