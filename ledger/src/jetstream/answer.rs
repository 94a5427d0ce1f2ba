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
/// The account or the server has no room, though the stream has: an operator makes some.
const NO_ROOM: [ErrorCode; 3] = [
    ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
    ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ErrorCode::MEMORY_RESOURCES_EXCEEDED,
];
/// The HTTP-like statuses from here on are faults of the server, which a later try may not meet.
const STATUS_SERVER_FAULT: usize = 500;

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
        code if NO_ROOM.contains(&code) => PublishError::Full,
        // A leader that steps down may have passed the message on before it answered.
        _ if answer.code() >= STATUS_SERVER_FAULT => PublishError::Unknown(error.into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: usize, err_code: u64, description: &str) -> PublishError {
        let answer = serde_json::json!({
            "code": code, "err_code": err_code, "description": description
        });
        let answer: jetstream::Error = serde_json::from_value(answer).unwrap();
        not_acknowledged(NatsError::with_source(PublishErrorKind::Other, answer))
    }

    #[test]
    fn what_may_pass_is_never_taken_for_a_refusal() {
        let full = [
            (400, 10002, "resource limits exceeded for account"),
            (500, 10047, "insufficient storage resources available"),
            (500, 10028, "insufficient memory resources available"),
            (503, 10077, "maximum bytes exceeded"),
        ];
        for (code, err_code, description) in full {
            let error = answered(code, err_code, description);
            assert!(matches!(error, PublishError::Full), "{description}: {error:?}");
        }
        let unknown = [
            (503, 10008, "JetStream system temporarily unavailable"),
            (503, 10023, "insufficient resources"),
            (500, 10001, "a fault that no version of ours knows"),
            (503, 10077, "write failed: no space left on device"),
        ];
        for (code, err_code, description) in unknown {
            let error = answered(code, err_code, description);
            assert!(matches!(error, PublishError::Unknown(_)), "{description}: {error:?}");
        }
    }

    #[test]
    fn what_stays_so_is_a_refusal() {
        let error = answered(400, 10109, "no message may be published to a sealed stream");
        assert!(matches!(error, PublishError::Refused(_)), "{error:?}");
    }
}
