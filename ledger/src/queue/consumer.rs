//! The durable consumer of a queue: how it is named and set up, how it is made and mended, and what
//! it says of itself.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, FromConsumer, Info};
use async_nats::jetstream::consumer::{IntoConsumerConfig, PullConsumer};
use async_nats::jetstream::context::Context;
use async_nats::jetstream::stream::ConsumerErrorKind;
use events::QueueName;
use events::subject::LEDGER_STREAM;

use super::floors::{FloorOf, Floors};
use crate::error::{Fault, QueueError};

/// Jobs of one queue that all executors together may hold.
const HELD_MAX: i64 = 65_536;
/// The server must never give a submission up. An executor does so, with an event.
const DELIVERIES_UNBOUNDED: i64 = -1;

/// What the server says of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// How much there is to do.
    pub backlog: Backlog,
    /// How long the server waits for a sign of life.
    pub ack_wait: Duration,
    /// Up to this sequence of the ledger, every submission of the queue has been acknowledged.
    pub acknowledged: u64,
    /// Up to this sequence of the ledger, every submission of the queue was given to an executor.
    pub delivered: u64,
}

impl QueueStatus {
    pub(super) fn of(info: &Info) -> Self {
        // Without acknowledgements the server calls acknowledged what it has sent.
        let is_ours = info.config.ack_policy == AckPolicy::Explicit;
        Self {
            backlog: Backlog::of(info),
            ack_wait: info.config.ack_wait,
            acknowledged: if is_ours { info.ack_floor.stream_sequence } else { 0 },
            delivered: info.delivered.stream_sequence,
        }
    }
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Submissions that no executor has been given yet.
    pub waiting: u64,
    /// Submissions that executors hold.
    pub held: u64,
}

impl Backlog {
    fn of(info: &Info) -> Self {
        Self { waiting: info.num_pending, held: info.num_ack_pending as u64 }
    }
}

/// Returns the name of a queue's durable, which the permissions of users name, too.
pub fn durable_name(queue: &QueueName) -> String {
    format!("executor-{queue}-v1")
}

/// Finds the durable of a queue. Only the provisioner makes it.
pub(super) async fn find(context: &Context, queue: &QueueName) -> Result<PullConsumer, Fault> {
    let name = durable_name(queue);
    match context.get_consumer_from_stream(&name, LEDGER_STREAM).await {
        Ok(found) => Ok(found),
        Err(error) if is_absent(&error.kind()) => {
            Err(format!("there is no durable {name} yet: the provisioner makes it").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The durable that a queue must have.
#[derive(Debug)]
pub(super) struct Durable<'a> {
    pub(super) context: &'a Context,
    pub(super) floors: &'a Floors,
    pub(super) name: &'a QueueName,
    pub(super) ack_wait: Duration,
}

impl Durable<'_> {
    /// Leaves the durable as it is, makes it if it does not exist, and changes it only if it
    /// differs: a create that the server refuses has cost consumers their state before (nats-server
    /// PR 8491).
    pub(super) async fn ensure(&self) -> Result<(), Fault> {
        let (context, name) = (self.context, durable_name(self.name));
        let found: PullConsumer = match context.get_consumer_from_stream(&name, LEDGER_STREAM).await
        {
            Ok(found) => found,
            Err(error) if is_absent(&error.kind()) => return self.make().await,
            Err(error) => return Err(error.into()),
        };
        let (has, wanted) = (&found.cached_info().config, self.config(DeliverPolicy::All));
        // The server changes the ack policy of no consumer. Under another policy than ours, it
        // holds for done what no executor has acknowledged, so its position is worth nothing.
        if has.ack_policy != wanted.ack_policy {
            context.delete_consumer_from_stream(&name, LEDGER_STREAM).await?;
            return self.make().await;
        }
        let mended = mended(has, wanted);
        if mended == *has {
            return Ok(());
        }
        tracing::info!(queue = %name, "mends a durable");
        let mended = Config::try_from_consumer_config(mended)?;
        context.update_consumer_on_stream(mended, LEDGER_STREAM).await?;
        Ok(())
    }

    /// Makes the durable where the one before it, if there was one, had come to. Otherwise a lost
    /// durable would deliver every submission that ever was.
    async fn make(&self) -> Result<(), Fault> {
        let floor = self.floors.load(FloorOf::Queue(self.name)).await;
        // Everything up to the floor had its end in the ledger before it was acknowledged. Before a
        // pool has its first executor, it may have submissions and has no floor.
        let begins = match floor.map_err(|QueueError(fault)| fault)? {
            Some(floor) => DeliverPolicy::ByStartSequence { start_sequence: floor.sequence + 1 },
            None => DeliverPolicy::All,
        };
        tracing::info!(queue = %durable_name(self.name), ?begins, "makes a durable");
        self.context.create_consumer_on_stream(self.config(begins), LEDGER_STREAM).await?;
        Ok(())
    }

    fn config(&self, deliver_policy: DeliverPolicy) -> Config {
        Config {
            durable_name: Some(durable_name(self.name)),
            deliver_policy,
            // `All` would acknowledge each older job of other executors as well.
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_deliver: DELIVERIES_UNBOUNDED,
            max_ack_pending: HELD_MAX,
            filter_subject: self.name.filter(),
            ..Config::default()
        }
    }
}

/// Returns what was found, with every setting put right that decides what is delivered, to how many
/// and how often. The rest stays: where it began, which no update can change, and what an operator
/// may want, such as replicas and a description.
fn mended(found: &consumer::Config, wanted: Config) -> consumer::Config {
    let wanted = wanted.into_consumer_config();
    consumer::Config {
        ack_wait: wanted.ack_wait,
        // Stands above the ack wait where there is one.
        backoff: wanted.backoff,
        max_deliver: wanted.max_deliver,
        max_ack_pending: wanted.max_ack_pending,
        filter_subject: wanted.filter_subject,
        filter_subjects: wanted.filter_subjects,
        headers_only: wanted.headers_only,
        // Would remove the durable while no executor is there.
        inactive_threshold: wanted.inactive_threshold,
        ..found.clone()
    }
}

fn is_absent(kind: &ConsumerErrorKind) -> bool {
    matches!(kind, ConsumerErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}
