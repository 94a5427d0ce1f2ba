//! What stands at a place of the ledger: an event, or bytes that no writer of ours wrote.

use std::error::Error;

use bytes::Bytes;
use events::{Digest, LedgerPosition, Recorded, Subject, Timestamp};

use crate::error::ReadError;
use crate::store::Message;

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 300;

/// One event of the ledger with the bytes and the subject that it stands under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The subject.
    pub subject: Subject,
    /// The stored bytes: what the hash chain is made of.
    pub payload: Bytes,
    /// What the bytes say.
    pub recorded: Recorded,
}

/// A message that is no event of ours. The stream keeps it for ever, so every reader passes it by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ForeignMessage {
    pub subject: String,
    pub sequence: u64,
    pub stored_at: Timestamp,
    pub payload: Bytes,
    pub digest: Digest,
    /// Why it is no event, for people.
    pub reason: String,
}

/// What stands at one place of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerEntry {
    /// An event, legal in its place or not.
    // Boxed, since it is many times as large as the other.
    Event(Box<Stored>),
    /// Bytes that are no event, or an event that does not belong under its subject.
    Foreign(ForeignMessage),
}

/// One entry of the ledger, and where a reader stands that has taken it in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Followed {
    pub position: LedgerPosition,
    pub entry: LedgerEntry,
}

/// An event speaks of another submission than its subject.
#[derive(Debug, thiserror::Error)]
#[error("it is an event of another submission than its subject's")]
struct WrongSubject;

impl LedgerEntry {
    /// Reads a message. An event of a newer version is an error, and stops a reader: to pass it by
    /// would lose it for ever.
    pub fn read(message: Message) -> Result<Self, ReadError> {
        let Message { sequence, stored_at, .. } = message;
        // The form before the subject: a newer version may have subjects that this one lacks.
        let recorded = match Recorded::decode(sequence, stored_at, &message.payload) {
            Ok(recorded) => recorded,
            Err(source) if source.is_newer() => return Err(ReadError::Newer { sequence, source }),
            Err(error) => return Ok(Self::foreign(message, &error)),
        };
        let subject: Subject = match message.subject.parse() {
            Ok(subject) => subject,
            Err(error) => return Ok(Self::foreign(message, &error)),
        };
        // The subject decides where an event is looked for. If the bytes named another submission,
        // the fold by subject and the fold by content would differ.
        if recorded.envelope.submission != subject.id {
            return Ok(Self::foreign(message, &WrongSubject));
        }
        Ok(Self::Event(Box::new(Stored { subject, payload: message.payload, recorded })))
    }

    /// Returns the hash of the stored bytes.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Event(stored) => stored.recorded.digest,
            Self::Foreign(foreign) => foreign.digest,
        }
    }

    fn foreign(message: Message, error: &(dyn Error + 'static)) -> Self {
        let Message { subject, sequence, stored_at, id: _, payload } = message;
        let (digest, reason) = (Digest::of(&payload), told(error));
        Self::Foreign(ForeignMessage { subject, sequence, stored_at, payload, digest, reason })
    }
}

/// Tells an error and its causes. The text may quote the bytes, so it is bounded, and plain.
fn told(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let plain = text.chars().map(|char| if char.is_control() { '\u{FFFD}' } else { char });
    plain.take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use events::testing::{SUBMISSION, instant, record};
    use events::{Event, SubmissionId};

    use super::*;

    fn read(subject: &str, payload: impl Into<Bytes>) -> Result<LedgerEntry, ReadError> {
        let (subject, payload) = (subject.to_owned(), payload.into());
        LedgerEntry::read(Message {
            subject,
            sequence: 7,
            stored_at: instant(1),
            id: None,
            payload,
        })
    }

    fn event() -> Vec<u8> {
        let accepted = Event::Accepted(Box::new(events::testing::accepted()));
        record([accepted])[0].envelope.encode()
    }

    fn subject(id: SubmissionId) -> String {
        format!("ledger.submission.run.normal.core.{}.{id}", id.key_part())
    }

    #[test]
    fn an_event_under_its_subject_is_an_event() {
        let entry = read(&subject(SUBMISSION), event()).unwrap();
        assert!(matches!(entry, LedgerEntry::Event(_)), "{entry:?}");
    }

    #[test]
    fn what_no_writer_of_ours_wrote_is_foreign_and_says_why() {
        let others = subject(SubmissionId::new(uuid::Uuid::from_u128(1)));
        let cases = [
            (subject(SUBMISSION), Bytes::from_static(b"hi"), "not a stored event"),
            (subject(SUBMISSION), Bytes::from_static(&[0, 0xff]), "not a stored event"),
            ("ledger.oops".to_owned(), event().into(), "is not ledger."),
            (others, event().into(), "another submission"),
        ];
        // What no column of a view could hold.
        let version = String::from_utf8(event()).unwrap().replace("3.11", "3\\u0000");
        let nul = (subject(SUBMISSION), Bytes::from(version), "a text with a NUL");
        for (subject, payload, why) in cases.into_iter().chain([nul]) {
            let LedgerEntry::Foreign(foreign) = read(&subject, payload.clone()).unwrap() else {
                panic!("{subject} was read");
            };
            assert!(foreign.reason.contains(why), "{}", foreign.reason);
            assert_eq!((foreign.digest, foreign.payload), (Digest::of(&payload), payload));
        }
    }

    #[test]
    fn a_reason_is_short_and_plain_whatever_the_bytes_are() {
        let name = format!("a\0b\n{}", "x".repeat(10_000));
        let payload = serde_json::json!({ "specversion": "1.0", name: 1 }).to_string();
        let LedgerEntry::Foreign(foreign) = read(&subject(SUBMISSION), payload).unwrap() else {
            panic!("it was read");
        };
        assert!(foreign.reason.chars().count() <= REASON_CHARS_MAX, "{}", foreign.reason);
        assert!(!foreign.reason.contains(char::is_control), "{:?}", foreign.reason);
    }

    #[test]
    fn a_newer_form_stops_a_reader_under_any_subject() {
        let newer = String::from_utf8(event()).unwrap().replace("accepted:2\"", "accepted:3\"");
        for subject in [subject(SUBMISSION), "ledger.problem.x".to_owned()] {
            let stopped = read(&subject, newer.clone());
            assert!(matches!(stopped, Err(ReadError::Newer { sequence: 7, .. })), "{stopped:?}");
        }
    }
}
