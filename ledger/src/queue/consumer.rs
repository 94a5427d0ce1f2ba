//! The durable consumer of a queue: how it is named and set up, how it is made, and how
//! much it has to give.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer};
use async_nats::jetstream::context::Context;
use async_nats::jetstream::stream::ConsumerErrorKind;
use events::QueueName;
use events::subject::LEDGER_STREAM;

use crate::error::Fault;

/// Jobs of one queue that all executors together may hold.
const HELD_MAX: i64 = 65_536;
/// The server must never give a submission up. An executor does so, with an event.
const DELIVERIES_UNBOUNDED: i64 = -1;

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Submissions that no executor has been given yet.
    pub waiting: u64,
    /// Submissions that executors hold.
    pub held: u64,
}

impl Backlog {
    pub(super) fn of(info: &Info) -> Self {
        Self { waiting: info.num_pending, held: info.num_ack_pending as u64 }
    }
}

pub(super) fn durable_name(queue: &QueueName) -> String {
    format!("executor-{queue}-v1")
}

pub(super) fn config(queue: &QueueName, ack_wait: Duration) -> Config {
    Config {
        durable_name: Some(durable_name(queue)),
        // A pool may have submissions before it has its first executor.
        deliver_policy: DeliverPolicy::All,
        // `All` would acknowledge each older job of other executors as well.
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        max_deliver: DELIVERIES_UNBOUNDED,
        max_ack_pending: HELD_MAX,
        filter_subject: queue.filter(),
        ..Config::default()
    }
}

/// Takes the durable as it is, makes it if it does not exist, and changes it only if its ack wait
/// differs: a create that the server refuses has cost consumers their state before (nats-server
/// PR 8491).
pub(super) async fn ensure(context: &Context, config: &Config) -> Result<PullConsumer, Fault> {
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
