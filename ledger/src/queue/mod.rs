//! The ledger as a queue: a durable consumer for each lane and pool. Knows no Docker and runs nothing.

mod job;
mod pull;
mod worker;

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, Context};
use async_nats::jetstream::stream::ConsumerErrorKind;
use events::subject::LEDGER_STREAM;
use events::{Lane, PoolName, Subject};

use crate::connection::Link;
use crate::read::ReadError;
use crate::store::Fault;

pub use job::{Acknowledge, Job, Receipt};
pub use worker::Worker;

/// Jobs of one lane and pool that all executors together may hold.
const HELD_MAX: i64 = 65_536;
/// Never: the executor gives a submission up itself, with an event (design §4.5).
const DELIVERIES_UNBOUNDED: i64 = -1;

/// Why there are no jobs.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The server does not answer, or has lost the consumer. Wait a moment and try again.
    #[error("the queue does not answer")]
    Unavailable(#[source] Fault),
    /// An accepted event that this program cannot read. Other jobs were handed back: stop, and upgrade.
    #[error("a job cannot be read")]
    Unreadable(#[from] ReadError),
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Submissions that no executor has been given yet.
    pub waiting: u64,
    /// Submissions that executors hold.
    pub held: u64,
}

/// The queue of accepted submissions.
#[derive(Clone, Debug)]
pub struct Queue {
    context: Context,
    link: Link,
}

impl Queue {
    pub(crate) const fn new(context: Context, link: Link) -> Self {
        Self { context, link }
    }

    /// Joins the workers of a lane and pool. What is not acknowledged within `ack_wait` goes to another one.
    pub async fn consumer(
        &self,
        lane: Lane,
        pool: &PoolName,
        ack_wait: Duration,
    ) -> Result<Worker, QueueError> {
        let config = config(lane, pool, ack_wait);
        Worker::join(self.context.clone(), self.link.clone(), config).await
    }

    /// Returns how much there is to do; none where no executor has ever been.
    pub async fn backlog(
        &self,
        lane: Lane,
        pool: &PoolName,
    ) -> Result<Option<Backlog>, QueueError> {
        let name = durable_name(lane, pool);
        let stream = self.context.get_stream_no_info(LEDGER_STREAM).await;
        let stream = stream.map_err(|error| QueueError::Unavailable(error.into()))?;
        match stream.consumer_info(name).await {
            Ok(info) => Ok(Some(Backlog::of(&info))),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(QueueError::Unavailable(error.into())),
        }
    }
}

impl Backlog {
    fn of(info: &Info) -> Self {
        Self { waiting: info.num_pending, held: info.num_ack_pending as u64 }
    }
}

fn durable_name(lane: Lane, pool: &PoolName) -> String {
    format!("executor-{lane}-{pool}-v1")
}

fn config(lane: Lane, pool: &PoolName, ack_wait: Duration) -> Config {
    Config {
        durable_name: Some(durable_name(lane, pool)),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        max_deliver: DELIVERIES_UNBOUNDED,
        max_ack_pending: HELD_MAX,
        filter_subject: Subject::queue_filter(lane, pool),
        ..Config::default()
    }
}

/// Takes the durable as it is, makes it where it is not, and changes it only where its wait differs: a create that
/// the server refuses has cost consumers their state before (nats-server PR 8491).
async fn ensure(context: &Context, config: &Config) -> Result<PullConsumer, Fault> {
    let name = config.durable_name.as_deref().unwrap_or_default();
    let found: Result<PullConsumer, _> =
        context.get_consumer_from_stream(name, LEDGER_STREAM).await;
    match found {
        Ok(consumer) if consumer.cached_info().config.ack_wait == config.ack_wait => Ok(consumer),
        Ok(_) => Ok(context.update_consumer_on_stream(config.clone(), LEDGER_STREAM).await?),
        Err(error) if is_absent(&error.kind()) => {
            Ok(context.create_consumer_on_stream(config.clone(), LEDGER_STREAM).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_absent(kind: &ConsumerErrorKind) -> bool {
    matches!(kind, ConsumerErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}
