//! The store on JetStream: publishes, reads from the stream's leader, follows. Knows no events.

mod answer;
mod follower;
pub(crate) mod objects;
pub(crate) mod raw;

use std::time::Duration;

use async_nats::jetstream::context::{Context, ContextBuilder, PublishAckFuture};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Info, Stream};
use async_nats::{Client, connection::State};
use async_trait::async_trait;
use events::subject::LEDGER_STREAM;
use futures::stream::BoxStream;

pub(crate) use self::follower::PULL_MESSAGES_MAX;
use self::raw::{MessageQuery, RawMessage};
use crate::error::Fault;
use crate::link::Link;
use crate::provision::ledger_id;
use crate::store::{
    Ack, EventStore, Expected, LedgerExtent, Message, Publication, PublishError, StorageUsage,
};

/// How long one request may take before it is tried again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Publishes whose acks are awaited at once. Above this a caller is told to try again: a wait for a
/// permit would use up its deadline with nothing sent.
const IN_FLIGHT_MAX: usize = 8_192;
/// Extends the condition on a subject's last sequence to every subject that matches (server 2.11).
const EXPECTED_LAST_SUBJECT_FILTER: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
const EXPECTED_LAST_SUBJECT_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
/// The event's stored type, so that an operator sees it without opening the payload.
const TYPE_HEADER: &str = "Ledger-Type";
const TRACE_HEADER: &str = "traceparent";
/// A trace context has 55 characters; future versions of it may have more.
const TRACE_BYTES_MAX: usize = 128;

/// Makes a context whose requests and acks are bounded.
pub(crate) fn bounded_context(client: Client) -> Context {
    ContextBuilder::new()
        .timeout(REQUEST_TIMEOUT)
        // Frees the permit of a publish whose caller was dropped; 30 s of such permits would refuse
        // every other writer.
        .ack_timeout(REQUEST_TIMEOUT)
        .max_ack_inflight(IN_FLIGHT_MAX)
        .backpressure_on_inflight(false)
        .build(client)
}

/// The stream `LEDGER`.
#[derive(Clone, Debug)]
pub(crate) struct JetStreamStore {
    context: Context,
    link: Link,
}

impl JetStreamStore {
    /// Uses an open connection.
    pub(crate) const fn new(context: Context, link: Link) -> Self {
        Self { context, link }
    }

    async fn stream(&self) -> Result<Stream<()>, Fault> {
        // Sends no request to the server: it only checks the name.
        Ok(self.context.get_stream_no_info(LEDGER_STREAM).await?)
    }

    async fn read(&self, query: MessageQuery<'_>) -> Result<Option<Message>, Fault> {
        raw::read(&self.context, query).await?.map(RawMessage::into_message).transpose()
    }

    async fn send(&self, publication: &Publication) -> Result<PublishAckFuture, PublishError> {
        // Without a connection the message would wait in the client's buffer, and its fate would be
        // unknown for no reason.
        if self.context.client().connection_state() != State::Connected {
            return Err(PublishError::Away("not connected".into()));
        }
        let subject = publication.subject.clone();
        let sent = self.context.send_publish(subject, message_of(publication)).await;
        sent.map_err(answer::not_sent)
    }
}

#[async_trait]
impl EventStore for JetStreamStore {
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError> {
        let acknowledged = self.send(publication).await?.await;
        let ack = acknowledged.map_err(answer::not_acknowledged)?;
        Ok(Ack { sequence: ack.sequence, duplicate: ack.duplicate })
    }

    async fn last(&self, filter: &str) -> Result<Option<Message>, Fault> {
        self.read(MessageQuery::last(filter)).await
    }

    async fn next(&self, filter: &str, from: u64) -> Result<Option<Message>, Fault> {
        self.read(MessageQuery::next(filter, from)).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Message>, Fault> {
        self.read(MessageQuery::at(sequence)).await
    }

    async fn usage(&self) -> Result<StorageUsage, Fault> {
        Ok(usage(&self.stream().await?.get_info().await?))
    }

    async fn extent(&self) -> Result<LedgerExtent, Fault> {
        let info = self.stream().await?.get_info().await?;
        Ok(LedgerExtent {
            ledger: ledger_id(&info.config),
            first_sequence: info.state.first_sequence,
            last_sequence: info.state.last_sequence,
        })
    }

    fn follow(&self, from: u64) -> BoxStream<'static, Result<Message, Fault>> {
        follower::follow(self.context.clone(), &self.link, from)
    }
}

/// Reads how full a stream is out of what the server says of it.
pub(crate) fn usage(info: &Info) -> StorageUsage {
    StorageUsage {
        bytes: info.state.bytes,
        // Negative means without a limit.
        bytes_max: u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX),
        messages: info.state.messages,
        first_sequence: info.state.first_sequence,
        last_sequence: info.state.last_sequence,
    }
}

fn message_of(publication: &Publication) -> PublishMessage {
    let message = PublishMessage::build()
        .payload(publication.payload.clone())
        .message_id(&publication.id)
        .header(TYPE_HEADER, publication.kind);
    let message = match &publication.expected {
        Expected::Last(last) => message.expected_last_subject_sequence(*last),
        // Headers by hand, since the client's builder knows no filter.
        Expected::LastMatching { filter, last } => message
            .header(EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string())
            .header(EXPECTED_LAST_SUBJECT_FILTER, filter.as_str()),
    };
    match publication.traceparent.as_deref().filter(|text| is_traceparent(text)) {
        Some(traceparent) => message.header(TRACE_HEADER, traceparent),
        None => message,
    }
}

/// Tells whether a text may stand in a header: it comes from clients, and must not bring headers of
/// its own.
fn is_traceparent(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    !text.is_empty() && text.len() <= TRACE_BYTES_MAX && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_brings_no_headers_of_its_own() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for bad in ["", "00\r\nNats-Rollup: all", "x y", &"a".repeat(TRACE_BYTES_MAX + 1)] {
            assert!(!is_traceparent(bad), "{bad:?} was taken");
        }
    }
}
