//! Frames: one byte of version, one of kind, four of length (big endian), then the payload in postcard's form.
//! Either side may be hostile to the other, so nothing is allocated on the word of a length.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{PAYLOAD_BYTES_MAX, PROTOCOL_VERSION};

/// Version, kind and length.
const HEADER_BYTES: usize = 6;

/// The first byte's high half tells our frames from a stray text or a core dump; the low half is the version.
const MAGIC: u8 = 0xA0;
const LEAD: u8 = MAGIC | PROTOCOL_VERSION;
const _: () = assert!(PROTOCOL_VERSION < 16 && PAYLOAD_BYTES_MAX < u32::MAX as usize);

/// Why a stream of bytes is not our protocol. None of these can be recovered from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Another version, or no frame at all.
    #[error(
        "a frame starts with {found:#04x}, not {expected:#04x}: it has another version of the protocol, or is not a frame"
    )]
    Lead {
        /// The byte that stands there.
        found: u8,
        /// What this version writes.
        expected: u8,
    },
    /// A kind of message that this side does not take.
    #[error("a message of kind {kind}, which this side does not take")]
    Kind {
        /// The kind.
        kind: u8,
    },
    /// A length over [`PAYLOAD_BYTES_MAX`].
    #[error("a payload of {length} bytes is over the limit of {PAYLOAD_BYTES_MAX}")]
    TooLong {
        /// The length that the frame claims.
        length: usize,
    },
    /// A payload that is no message of its kind.
    #[error("malformed payload")]
    Payload(#[from] postcard::Error),
    /// Bytes after a payload's message.
    #[error("{bytes} bytes after the message in its payload")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// A message that can cross in a frame.
pub trait FramedMessage: Serialize + DeserializeOwned {
    /// The frame's second byte. Each side's messages have their own, so that neither side takes
    /// its own messages for the other side's.
    const KIND: u8;
}

/// The frame of a message. Refuses one that no decoder would take.
pub fn encode<M: FramedMessage>(message: &M) -> Result<Vec<u8>, ProtocolError> {
    let payload =
        postcard::to_stdvec(message).expect("our messages have only forms that postcard knows");
    let length = payload.len();
    if length > PAYLOAD_BYTES_MAX {
        return Err(ProtocolError::TooLong { length });
    }
    let mut frame = Vec::with_capacity(HEADER_BYTES + length);
    frame.extend([LEAD, M::KIND]);
    let length = u32::try_from(length).expect("the bound on payloads fits");
    frame.extend(length.to_be_bytes());
    frame.extend(payload);
    Ok(frame)
}

/// Takes bytes as they come and gives messages as they become whole. After an error it stays in error.
pub struct Decoder<M> {
    buffer: Vec<u8>,
    taken: usize,
    failed: Option<ProtocolError>,
    message: PhantomData<fn() -> M>,
}

impl<M: FramedMessage> Decoder<M> {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self { buffer: Vec::new(), taken: 0, failed: None, message: PhantomData }
    }

    /// Adds bytes that were read. Call [`Self::next_message`] until it has none before reading more, or what waits here
    /// grows without bound.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Takes the next whole message, if there is one.
    pub fn next_message(&mut self) -> Result<Option<M>, ProtocolError> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        self.take().inspect_err(|failure| {
            self.failed = Some(failure.clone());
            self.buffer = Vec::new();
        })
    }

    /// Whether the stream may end here: no frame has begun.
    pub fn is_between_messages(&self) -> bool {
        self.buffer.len() == self.taken && self.failed.is_none()
    }

    fn take(&mut self) -> Result<Option<M>, ProtocolError> {
        let waiting = &self.buffer[self.taken..];
        let Some(length) = payload_length(waiting)? else { return Ok(None) };
        let Some(payload) = waiting.get(HEADER_BYTES..HEADER_BYTES + length) else {
            return Ok(None);
        };
        let message = decode(waiting[1], payload)?;
        self.taken += HEADER_BYTES + length;
        self.compact();
        Ok(Some(message))
    }

    /// Gives the memory of a large message back, and never moves the same byte more than twice.
    fn compact(&mut self) {
        if self.taken == self.buffer.len() {
            self.buffer = Vec::new();
            self.taken = 0;
        } else if self.taken > self.buffer.len() / 2 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
    }
}

impl<M: FramedMessage> Default for Decoder<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> fmt::Debug for Decoder<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("waiting_bytes", &(self.buffer.len() - self.taken))
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// The length in a header, or nothing while the header is not whole. A wrong first byte is seen at once.
fn payload_length(waiting: &[u8]) -> Result<Option<usize>, ProtocolError> {
    let Some(&found) = waiting.first() else { return Ok(None) };
    if found != LEAD {
        return Err(ProtocolError::Lead { found, expected: LEAD });
    }
    let Some(&[_, _, a, b, c, d]) = waiting.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > PAYLOAD_BYTES_MAX {
        return Err(ProtocolError::TooLong { length });
    }
    Ok(Some(length))
}

fn decode<M: FramedMessage>(kind: u8, payload: &[u8]) -> Result<M, ProtocolError> {
    if kind != M::KIND {
        return Err(ProtocolError::Kind { kind });
    }
    let (message, rest) = postcard::take_from_bytes(payload)?;
    if rest.is_empty() { Ok(message) } else { Err(ProtocolError::Trailing { bytes: rest.len() }) }
}
