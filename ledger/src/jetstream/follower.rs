//! Following the stream with an ephemeral consumer of our own, which ends with the connection that
//! it was made over. The reader above makes the next one where it stands itself.
//!
//! Not the client's ordered consumer: before its first delivery, it makes itself anew at the first
//! message of the stream.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Config, Stream};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::{Message as Delivered, context::Context};
use bytes::Bytes;
use events::subject::LEDGER_STREAM;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use crate::error::Fault;
use crate::link::{INBOX_PREFIX, Link};
use crate::store::Message;

/// How long a pull request lives. Half of it is the heartbeat, and two missed ones end the reader,
/// so this bounds how long a dead consumer goes unnoticed.
const PULL_EXPIRES: Duration = Duration::from_secs(4);
/// How many messages one pull request asks for. Another one follows when half of them have come.
pub(crate) const PULL_MESSAGES_MAX: usize = 500;
/// How many bytes one pull request asks for, as above. More than a message of `max_payload` in
/// `deploy/nats/nats.conf` and its subjects have: what is larger than this is never sent.
// Not by `MESSAGE_BYTES_MAX`: ledgers from before that bound may hold messages of `max_payload`.
const PULL_BYTES_MAX: usize = 9 * 1024 * 1024;
/// How long the server keeps a consumer that is not asked for anything, as by a process that was
/// killed.
const INACTIVE_MAX: Duration = Duration::from_secs(10);

/// Yields messages from `from` on, until the connection or the consumer is lost.
pub(super) fn follow(
    context: Context,
    link: &Link,
    from: u64,
) -> BoxStream<'static, Result<Message, Fault>> {
    let connections = link.connections();
    // The first connection breaks nothing.
    let connection = (*connections.borrow()).max(1);
    let follower = Follower { context, connections, connection, from, consumer: None };
    stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        let message = follower.next().await;
        let rest = message.is_ok().then_some(follower);
        Some((message, rest))
    })
    .boxed()
}

struct Follower {
    context: Context,
    connections: watch::Receiver<u64>,
    /// The connection that it belongs to.
    connection: u64,
    from: u64,
    consumer: Option<Ephemeral>,
}

impl Follower {
    async fn next(&mut self) -> Result<Message, Fault> {
        let Self { context, connections, connection, from, consumer } = self;
        tokio::select! {
            // First of all: what a server says that came back is compared before it is read.
            biased;
            () = broken(connections, *connection) => Err("the connection was made anew".into()),
            message = async {
                let consumer = match consumer {
                    Some(consumer) => consumer,
                    None => consumer.insert(Ephemeral::make(context, *from).await?),
                };
                consumer.next().await
            } => message,
        }
    }
}

/// Waits until another connection than this one was made.
async fn broken(connections: &mut watch::Receiver<u64>, connection: u64) {
    // The sender lives as long as the connection, and without one there is nothing to read.
    let _ended = connections.wait_for(|made| *made > connection).await.is_err();
}

/// A consumer in the server's memory. It needs no acknowledgements: each reader keeps its own
/// position, and a durable would be a second one that could disagree with it.
struct Ephemeral {
    context: Context,
    name: String,
    messages: Box<Stream>,
    /// How many messages the consumer has delivered.
    delivered: u64,
}

impl Ephemeral {
    async fn make(context: &Context, from: u64) -> Result<Self, Fault> {
        let config = Config {
            name: Some(consumer_name(&context.client().new_inbox())),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
            ack_policy: AckPolicy::None,
            inactive_threshold: INACTIVE_MAX,
            memory_storage: true,
            num_replicas: 1,
            ..Config::default()
        };
        let consumer = context.create_consumer_on_stream(config, LEDGER_STREAM).await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_MESSAGES_MAX)
            .max_bytes_per_batch(PULL_BYTES_MAX)
            .expires(PULL_EXPIRES)
            .heartbeat(PULL_EXPIRES / 2)
            .messages()
            .await?;
        let name = consumer.cached_info().name.clone();
        Ok(Self { context: context.clone(), name, messages: Box::new(messages), delivered: 0 })
    }

    async fn next(&mut self) -> Result<Message, Fault> {
        let delivered = self.messages.next().await.ok_or("the consumer ended")??;
        let (place, message) = read(delivered)?;
        self.delivered += 1;
        // The client drops what it has no room for. Without this, a message that was lost on its
        // way would look like one that was removed from the ledger.
        if place != self.delivered {
            return Err("a message was lost on its way".into());
        }
        Ok(message)
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        let client = self.context.client();
        let subject = format!("$JS.API.CONSUMER.DELETE.{LEDGER_STREAM}.{}", self.name);
        // Best effort, and not awaited: the server forgets the consumer by itself, only later.
        // Until then each stored message costs it a look at every consumer.
        let delete = client.publish_with_reply(subject, client.new_inbox(), Bytes::new());
        let _sent = delete.now_or_never();
    }
}

/// Makes `<user>-follow-<random>` out of a new inbox, `_INBOX_<user>.<random>`. Without a name in
/// the request, the server would look for one in its body, where no permission sees it.
fn consumer_name(inbox: &str) -> String {
    inbox.trim_start_matches(INBOX_PREFIX).replace('.', "-follow-")
}

/// Reads a delivery, and its place among those of the consumer.
fn read(delivered: Delivered) -> Result<(u64, Message), Fault> {
    let info = delivered.info()?;
    let (place, sequence, stored_at) =
        (info.consumer_sequence, info.stream_sequence, info.published);
    let headers = delivered.message.headers.as_ref();
    let id = headers.and_then(|headers| headers.get(async_nats::header::NATS_MESSAGE_ID));
    let message = Message {
        sequence,
        stored_at,
        id: id.map(|id| id.as_str().to_owned()),
        subject: delivered.message.subject.into_string(),
        payload: delivered.message.payload,
    };
    Ok((place, message))
}
