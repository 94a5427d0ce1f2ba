//! The seam between the ledger's rules and what stores its messages. Knows messages, not events.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use events::{LedgerId, Timestamp};
use futures::stream::BoxStream;

use crate::error::Fault;

/// The most messages on one subject: a bound for a writer that appends to one submission in a loop.
pub const SUBJECT_MESSAGES_MAX: u32 = 512;

/// The largest message with its headers, in bytes. A reader holds some at once, so this bounds its
/// memory.
// The largest event accepts a submission: 64 arguments and 64 options of 4 KiB, of which each byte may
// need six as JSON, and contents of 64 KiB.
pub const MESSAGE_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// How long a leader that was cut off may go on answering with what it has. A server notices it
/// after some ten seconds.
pub(crate) const STALE_LEADER_TIME: Duration = Duration::from_secs(20);

/// A stream of stored messages in order.
#[async_trait]
pub trait EventStore: Debug + Send + Sync {
    /// Offers one message once, and reports what is known of it.
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError>;

    /// Returns the last message whose subject matches `filter`, as the stream's leader knows it.
    async fn last(&self, filter: &str) -> Result<Option<Message>, Fault>;

    /// Returns the first message at or after `from` whose subject matches `filter`, as the stream's
    /// leader knows it.
    async fn next(&self, filter: &str, from: u64) -> Result<Option<Message>, Fault>;

    /// Returns the message at `sequence`, as the stream's leader knows it.
    async fn get(&self, sequence: u64) -> Result<Option<Message>, Fault>;

    /// Returns how full the stream is.
    async fn usage(&self) -> Result<StorageUsage, Fault>;

    /// Returns which ledger it is, and where it begins and ends, as the stream's leader knows it.
    async fn extent(&self) -> Result<LedgerExtent, Fault>;

    /// Yields every message from `from` on, in order. The connection is watched from this call on:
    /// when it breaks, or what the server keeps for this reader is lost, an error is the last item.
    fn follow(&self, from: u64) -> BoxStream<'static, Result<Message, Fault>>;
}

/// One message as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Message {
    pub subject: String,
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// The server's clock when it was stored.
    pub stored_at: Timestamp,
    /// The id that it was published under.
    pub id: Option<String>,
    pub payload: Bytes,
}

/// A message to be stored, and the condition under which it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The literal subject.
    pub subject: String,
    /// The id: the store keeps one message of each for a while, whatever is offered.
    pub id: String,
    /// What the last message must be.
    pub expected: Expected,
    /// The stored type of the event.
    pub kind: &'static str,
    /// The trace context of the writer's work.
    pub traceparent: Option<String>,
    /// The bytes.
    pub payload: Bytes,
}

/// The condition of a [`Publication`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The last message on the publication's own subject has this sequence; 0 for none.
    Last(u64),
    /// The last message that matches a filter has this sequence. Every writer whose subject the
    /// filter matches must use the very same filter, or none is safe.
    LastMatching {
        /// The filter.
        filter: String,
        /// The sequence; 0 for none.
        last: u64,
    },
}

/// A store's word that a message is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Where the message stands.
    pub sequence: u64,
    /// Whether a message with this id stood there before.
    pub duplicate: bool,
}

/// Why there is no [`Ack`].
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Another message than expected is the last one; perhaps our own from an earlier try.
    #[error("another message is the last one")]
    WrongLast,
    /// Another message for the subject, or our own earlier try, is on its way.
    #[error("another message is on its way")]
    InFlight,
    /// The stream has no room.
    #[error("the stream is full")]
    Full,
    /// The subject has [`SUBJECT_MESSAGES_MAX`] messages.
    #[error("the subject is full")]
    SubjectFull,
    /// The message is larger than the server takes.
    #[error("the message is too large")]
    TooLarge,
    /// The server or the stream's leader was not there. It is not stored.
    #[error("the server takes no messages")]
    Away(#[source] Fault),
    /// It was sent and no answer came. It may be stored.
    #[error("no answer came")]
    Unknown(#[source] Fault),
    /// The server will never take it. It is not stored.
    #[error("the server refuses")]
    Refused(#[source] Fault),
}

/// Which ledger a stream has, and how far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerExtent {
    /// None in a stream that was made before ledgers had ids.
    pub ledger: Option<LedgerId>,
    /// The sequence of the first message. Of a stream without messages, 0 or 1 more than the last
    /// one's.
    pub first_sequence: u64,
    /// The sequence of the last message, 0 when there never was one.
    pub last_sequence: u64,
}

/// How full a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct StorageUsage {
    pub bytes: u64,
    pub bytes_max: u64,
    pub messages: u64,
    /// The sequence of the first message; 1 more than the last one's when there is none.
    pub first_sequence: u64,
    /// The sequence of the last message, 0 when there never was one.
    pub last_sequence: u64,
}

impl StorageUsage {
    /// Returns how much of the room is used, in percent.
    pub fn percent(&self) -> u64 {
        self.bytes.saturating_mul(100) / self.bytes_max.max(1)
    }
}
