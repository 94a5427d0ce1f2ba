//! Following the stream with an ordered consumer that is made anew whenever it falls silent.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::{Message as Delivered, context::Context};
use events::subject::LEDGER_STREAM;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;

use crate::error::Fault;
use crate::link::Link;
use crate::metrics;
use crate::retry::{PATIENT, Waits};
use crate::store::Message;

/// How long a pull request lives. Half of it is the heartbeat, so this bounds how long a dead
/// consumer goes unnoticed.
const PULL_EXPIRES: Duration = Duration::from_secs(4);

/// Yields messages from `from` on, for ever.
pub(super) fn follow(context: Context, link: &Link, from: u64) -> BoxStream<'static, Message> {
    let connections = link.connections();
    let follower =
        Follower { context, connections, next: from, ordered: None, waits: Waits::of(PATIENT) };
    stream::unfold(follower, |mut follower| async move {
        let message = follower.next().await;
        Some((message, follower))
    })
    .boxed()
}

struct Follower {
    context: Context,
    connections: watch::Receiver<u64>,
    /// The least sequence that has not been yielded.
    next: u64,
    ordered: Option<Box<Ordered>>,
    waits: Waits,
}

impl Follower {
    async fn next(&mut self) -> Message {
        loop {
            match self.delivered().await {
                Ok(message) if message.sequence >= self.next => {
                    self.next = message.sequence + 1;
                    // A delivery ends the outage, so the next outage begins with short waits.
                    self.waits = Waits::of(PATIENT);
                    return message;
                }
                // The client remakes the consumer by its own count. Before the first delivery this
                // count is 0, and the client begins with the whole stream.
                Ok(_seen_before) => {}
                Err(fault) => {
                    self.restart(fault.as_ref());
                    self.waits.wait().await;
                }
            }
        }
    }

    fn restart(&mut self, error: &(dyn Error + 'static)) {
        tracing::warn!(error, ledger.next = self.next, "following the ledger anew");
        metrics::follow_restarted();
        self.ordered = None;
    }

    async fn delivered(&mut self) -> Result<Message, Fault> {
        let ordered = if let Some(ordered) = &mut self.ordered {
            ordered
        } else {
            // Before the consumer is made: a connection that breaks meanwhile may take it along.
            self.connections.mark_unchanged();
            let ordered = open(&self.context, self.next).await?;
            self.ordered.insert(Box::new(ordered))
        };
        tokio::select! {
            // What the client already has is yielded before the consumer is given up.
            biased;
            item = ordered.next() => match item {
                Some(delivered) => read(delivered?),
                None => Err("the consumer ended".into()),
            },
            // A server that restarted has forgotten the consumer, and without this only the missing
            // heartbeats would show it.
            _ = self.connections.changed() => Err("the connection was made anew".into()),
        }
    }
}

async fn open(context: &Context, from: u64) -> Result<Ordered, Fault> {
    // An ordered consumer lives in the server's memory and needs no acknowledgements: each reader
    // keeps its own position, and a durable would be a second one that could disagree with it.
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
        max_expires: PULL_EXPIRES,
        ..OrderedConfig::default()
    };
    let consumer = context.create_consumer_on_stream(config, LEDGER_STREAM).await?;
    Ok(consumer.messages().await?)
}

fn read(delivered: Delivered) -> Result<Message, Fault> {
    let info = delivered.info()?;
    let (sequence, stored_at) = (info.stream_sequence, info.published);
    let headers = delivered.message.headers.as_ref();
    let id = headers.and_then(|headers| headers.get(async_nats::header::NATS_MESSAGE_ID));
    Ok(Message {
        sequence,
        stored_at,
        id: id.map(|id| id.as_str().to_owned()),
        subject: delivered.message.subject.into_string(),
        payload: delivered.message.payload,
    })
}
