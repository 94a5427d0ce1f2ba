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

use crate::error::Fault;

/// Jobs of one queue that all executors together may hold.
const HELD_MAX: i64 = 65_536;
/// The server must never give a submission up. An executor does so, with an event.
const DELIVERIES_UNBOUNDED: i64 = -1;

pub(super) fn durable_name(queue: &QueueName) -> String {
    format!("executor-{queue}-v1")
}

/// What the server says of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// How much there is to do.
    pub backlog: Backlog,
    /// How long the server waits for a sign of life, whichever executor set that.
    pub ack_wait: Duration,
}

impl QueueStatus {
    pub(super) fn of(info: &Info) -> Self {
        Self { backlog: Backlog::of(info), ack_wait: info.config.ack_wait }
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

pub(super) fn config(name: &QueueName, ack_wait: Duration) -> Config {
    Config {
        durable_name: Some(durable_name(name)),
        // A pool may have submissions before it has its first executor.
        deliver_policy: DeliverPolicy::All,
        // `All` would acknowledge each older job of other executors as well.
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        max_deliver: DELIVERIES_UNBOUNDED,
        max_ack_pending: HELD_MAX,
        filter_subject: name.filter(),
        ..Config::default()
    }
}

/// Takes the durable as it is, makes it if it does not exist, and changes it only if it differs: a
/// create that the server refuses has cost consumers their state before (nats-server PR 8491).
pub(super) async fn ensure(context: &Context, config: &Config) -> Result<PullConsumer, Fault> {
    let name = config.durable_name.as_deref().unwrap_or_default();
    let found: PullConsumer = match context.get_consumer_from_stream(name, LEDGER_STREAM).await {
        Ok(found) => found,
        Err(error) if is_absent(&error.kind()) => return make(context, config).await,
        Err(error) => return Err(error.into()),
    };
    let has = &found.cached_info().config;
    // The server changes the ack policy of no consumer. Under another policy than ours, it holds
    // for done what no executor has acknowledged, so its position is worth nothing.
    if has.ack_policy != config.ack_policy {
        context.delete_consumer_from_stream(name, LEDGER_STREAM).await?;
        return make(context, config).await;
    }
    let mended = mended(has, config);
    if mended == *has {
        return Ok(found);
    }
    let mended = Config::try_from_consumer_config(mended)?;
    Ok(context.update_consumer_on_stream(mended, LEDGER_STREAM).await?)
}

async fn make(context: &Context, config: &Config) -> Result<PullConsumer, Fault> {
    Ok(context.create_consumer_on_stream(config.clone(), LEDGER_STREAM).await?)
}

/// Returns what was found, with every setting put right that decides what is delivered, to how many
/// and how often. The rest stays: where it began, which no update can change, and what an operator
/// may want, such as replicas and a description.
fn mended(found: &consumer::Config, wanted: &Config) -> consumer::Config {
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
