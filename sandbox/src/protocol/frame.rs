//! Frames: one byte of version, one of kind, four of length (big endian), then the payload in
//! postcard's form. Either side may be hostile to the other, so no memory is taken because a length
//! says so.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{PAYLOAD_BYTES_MAX, PROTOCOL_VERSION};

/// Version, kind and length.
const HEADER_BYTES: usize = 6;

/// The high half of a frame's first byte: it tells our frames from a stray text or a core dump. The
/// low half is the version.
const MAGIC: u8 = 0xA0;
const LEAD: u8 = MAGIC | PROTOCOL_VERSION;
const _: () = assert!(PROTOCOL_VERSION < 16 && PAYLOAD_BYTES_MAX < u32::MAX as usize);

/// Why a stream of bytes is not our protocol. None of these can be recovered from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum ProtocolError {
    /// The frame has another version, or there is no frame at all.
    #[error(
        "a frame starts with {found:#04x}, not {expected:#04x}: another version of the \
         protocol, or not a frame"
    )]
    Lead {
        /// The byte that was read.
        found: u8,
        /// The byte that this version writes.
        expected: u8,
    },
    /// A kind of message that this side does not take.
    #[error("a message of kind {kind}, which this side does not take")]
    Kind { kind: u8 },
    /// A length over [`PAYLOAD_BYTES_MAX`].
    #[error("a payload of {length} bytes is over the limit of {PAYLOAD_BYTES_MAX}")]
    TooLong {
        /// The length that the frame claims.
        length: usize,
    },
    /// A payload that is not a message of its kind.
    #[error("malformed payload")]
    Payload(#[from] postcard::Error),
    /// Bytes after a payload's message.
    #[error("{bytes} bytes after the message in its payload")]
    Trailing { bytes: usize },
}

/// A message that can cross in a frame.
pub trait FramedMessage: Serialize + DeserializeOwned {
    /// The frame's second byte. Each side's messages have their own, so that neither side takes
    /// its own messages for the other side's.
    const KIND: u8;
}

/// Returns the frame of a message. Refuses a message that no decoder would take.
pub fn encode<M: FramedMessage>(message: &M) -> Result<Vec<u8>, ProtocolError> {
    // The length is written last, so that a long message is not copied behind its header.
    let header = vec![LEAD, M::KIND, 0, 0, 0, 0];
    let mut frame = postcard::to_extend(message, header)
        .expect("our messages have only forms that postcard knows");
    let length = frame.len() - HEADER_BYTES;
    if length > PAYLOAD_BYTES_MAX {
        return Err(ProtocolError::TooLong { length });
    }
    let length = u32::try_from(length).expect("the bound on payloads fits");
    frame[2..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Takes bytes as they come, and gives messages as they become whole. After an error it gives the
/// same error for ever: where a frame was wrong, the start of the next one is not known.
pub struct Decoder<M> {
    buffer: Vec<u8>,
    taken: usize,
    failed: Option<ProtocolError>,
    message: PhantomData<fn() -> M>,
}

impl<M: FramedMessage> Decoder<M> {
    /// Makes a decoder for the start of a stream.
    pub fn new() -> Self {
        Self { buffer: Vec::new(), taken: 0, failed: None, message: PhantomData }
    }

    /// Adds bytes that were read. Call [`Self::next_message`] until it returns `None` before you
    /// read more: otherwise the bytes that wait here grow without bound.
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

    /// Tells whether the stream may end here: no frame has begun.
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

    fn compact(&mut self) {
        if self.taken == self.buffer.len() {
            // A new buffer, not a cleared one: the memory of a large message goes back at once.
            self.buffer = Vec::new();
            self.taken = 0;
        } else if self.taken > self.buffer.len() / 2 {
            // Only when most of the buffer was taken, so that no byte moves more than twice.
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

/// Returns the length in a header, or nothing while the header is not whole.
fn payload_length(waiting: &[u8]) -> Result<Option<usize>, ProtocolError> {
    let Some(&found) = waiting.first() else { return Ok(None) };
    // Before the rest of the header is there: another version may have a shorter one, and then the
    // rest would never come.
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
