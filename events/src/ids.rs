//! Identifiers, and how the deterministic ones are derived.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;
use crate::names::UserId;

/// The namespace of every UUIDv5 that Runledger derives: a random UUID, fixed for ever.
// With another one, a retry after an upgrade would be a second submission.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f0c_6f6e_5b1e_4a57_9f0d_3a6c_2b7d_91e4);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// Returns the UUID.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// One submission. Its text form, in subjects and in the API, is the hyphenated UUID.
    SubmissionId
}
uuid_id! {
    /// One event, and the `Nats-Msg-Id` that it is published under.
    EventId
}
uuid_id! {
    /// One life of a process. An executor that restarts has another boot id, so that it is never
    /// taken for the process before.
    BootId
}

impl SubmissionId {
    /// Derives the id of a submission that came with an `Idempotency-Key`: a retry has the same id,
    /// and needs no database to be found.
    pub fn from_idempotency_key(principal: &UserId, key: &str) -> Self {
        // The principal's length goes first, so that no two pairs of principal and key give the
        // same text.
        let name = format!("submission|{}|{principal}|{key}", principal.as_str().len());
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }
}

/// What tells one event from every other, and so makes its id.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct EventKey<'a> {
    pub submission: SubmissionId,
    /// The event's stored type, as `execution.started`.
    pub kind: &'a str,
    /// The attempt, 0 before the first.
    pub attempt: u32,
    /// The place among events of the same type and attempt.
    pub ordinal: u32,
    /// The life of the process that writes it.
    pub writer: BootId,
    /// The hash of the event's `data`.
    pub data: Digest,
}

impl EventId {
    /// Derives the id. The same writer that retries the same event gets the same id; no other
    /// writer does.
    ///
    /// The writer and the data are part of it because two executors may race to start the same
    /// attempt: if their ids were equal, the loser would take the winner's event for its own
    /// earlier try.
    pub fn derive(key: &EventKey<'_>) -> Self {
        let EventKey { submission, kind, attempt, ordinal, writer, data } = key;
        let name = format!("event|{submission}|{kind}|{attempt}|{ordinal}|{writer}|{data}");
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }
}
