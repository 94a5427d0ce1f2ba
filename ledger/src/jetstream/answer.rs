//! What the server's and the client's errors say about a published message: stored, not stored, or
//! unknown.

use async_nats::jetstream::context::{PublishError as NatsError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode};

use crate::store::PublishError;

/// "another message for this id is on its way"
const DUPLICATE_IN_FLIGHT: ErrorCode = ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT;
/// "another message for this subject is on its way", with and without its sequence
const SUBJECT_IN_FLIGHT: [ErrorCode; 2] = [
    ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
    ErrorCode::STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_NOT_READY,
];
/// The HTTP-like status of a fault that a later try may not meet.
const STATUS_UNAVAILABLE: usize = 503;

/// Reads an error from before anything was sent.
pub(super) fn not_sent(error: NatsError) -> PublishError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => PublishError::TooLarge,
        // The client had no permit left, so it has not written the message.
        PublishErrorKind::MaxAckPending => PublishError::Away(error.into()),
        // A send that timed out may still have a place in the client's buffer.
        PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::StreamNotFound
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence
        | PublishErrorKind::Other => PublishError::Unknown(error.into()),
    }
}

/// Reads an error from after it was sent.
pub(super) fn not_acknowledged(error: NatsError) -> PublishError {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => PublishError::WrongLast,
        PublishErrorKind::MaxPayloadExceeded => PublishError::TooLarge,
        // The server knows no stream that takes the subject, so the message is not stored.
        PublishErrorKind::StreamNotFound | PublishErrorKind::MaxAckPending => {
            PublishError::Away(error.into())
        }
        // The message may have reached the server before the connection broke.
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => {
            PublishError::Unknown(error.into())
        }
        PublishErrorKind::WrongLastMessageId | PublishErrorKind::Other => refused(error),
    }
}

/// The client gives most of the server's answers as "other": the code stands in the source.
fn refused(error: NatsError) -> PublishError {
    let source = std::error::Error::source(&error);
    let answer = source.and_then(|source| source.downcast_ref::<jetstream::Error>());
    // A reply that cannot be read as an answer proves nothing, in either direction.
    let Some(answer) = answer.cloned() else {
        return PublishError::Unknown(error.into());
    };
    match answer.error_code() {
        code if code == DUPLICATE_IN_FLIGHT || SUBJECT_IN_FLIGHT.contains(&code) => {
            PublishError::InFlight
        }
        ErrorCode::STREAM_STORE_FAILED => store_failed(error, &answer.to_string()),
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => PublishError::TooLarge,
        // A leader that steps down may have passed the message on before it answered.
        _ if answer.code() == STATUS_UNAVAILABLE => PublishError::Unknown(error.into()),
        _ => PublishError::Refused(error.into()),
    }
}

/// One code for every failure to store; only the text tells a limit from a broken disk.
fn store_failed(error: NatsError, text: &str) -> PublishError {
    match text {
        // First, since this text has the word "maximum", too.
        text if text.contains("messages per subject exceeded") => PublishError::SubjectFull,
        text if text.contains("maximum") => PublishError::Full,
        _ => PublishError::Unknown(error.into()),
    }
}
