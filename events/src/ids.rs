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
    /// One submission. Its text form, in subjects and in the API, is the hyphenated UUID. A new id
    /// is a UUIDv7, so that ids grow with time and views append to their indexes.
    SubmissionId
}
uuid_id! {
    /// One event, and the `Nats-Msg-Id` that it is published under.
    EventId
}
uuid_id! {
    /// One ledger. Made with its stream, so that another ledger is never taken for it.
    LedgerId
}
uuid_id! {
    /// One life of a process. An executor that restarts has another boot id, so that it is never
    /// taken for the process before.
    BootId
}

/// Bytes of a UUIDv7 behind its milliseconds: 74 free bits, version and variant.
const KEY_BYTES: usize = 10;

impl SubmissionId {
    /// Gives the id of a submission that came with an `Idempotency-Key` a key part that is made of
    /// both. The milliseconds of this id, a UUIDv7, stay: RFC 9562 §5.7.
    #[must_use]
    pub fn under_idempotency_key(self, principal: &UserId, key: &str) -> Self {
        // The principal's length goes first, so that no two pairs of principal and key give the
        // same text.
        let name = format!("submission|{}|{principal}|{key}", principal.as_str().len());
        let digest = Digest::of(name.as_bytes());
        let mut hash = [0; KEY_BYTES];
        hash.copy_from_slice(&digest.as_bytes()[..KEY_BYTES]);
        let milliseconds = u64::try_from(self.0.as_u128() >> (8 * KEY_BYTES)).unwrap_or(u64::MAX);
        Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, &hash).into_uuid())
    }

    /// Returns the key part: 20 characters that are the same for each try under one idempotency
    /// key, whenever it comes, and random without one.
    // A time of its own in each id: a key that comes again long after its submission has left the
    // stream must not lead to the id that the archive has.
    pub fn key_part(&self) -> String {
        self.to_string().split_off("00000000-0000-".len())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn under(fresh: u128, principal: &str, key: &str) -> SubmissionId {
        let principal = principal.parse().unwrap();
        SubmissionId::new(Uuid::from_u128(fresh)).under_idempotency_key(&principal, key)
    }

    proptest! {
        #[test]
        fn tries_under_one_key_share_the_key_part_and_nothing_else(
            first: u128, second: u128, key in "[ -~]{1,255}",
        ) {
            let (one, other) = (under(first, "ada", &key), under(second, "ada", &key));
            prop_assert_eq!(one.key_part(), other.key_part());
            prop_assert_eq!(one == other, first >> 80 == second >> 80);
            prop_assert_eq!(one.as_uuid().get_version_num(), 7);
            prop_assert_eq!(one.as_uuid().as_u128() >> 80, first >> 80);
            prop_assert!(one.to_string().ends_with(&one.key_part()));
        }
    }

    #[test]
    fn principal_and_key_are_told_apart() {
        let pairs = [("ada", "k"), ("ada", "l"), ("bob", "k"), ("a", "da|k"), ("ada", "|k")];
        let parts = pairs.map(|(principal, key)| under(1, principal, key).key_part());
        let all: std::collections::HashSet<_> = parts.iter().collect();
        assert_eq!(all.len(), pairs.len(), "{parts:?}");
    }

    #[test]
    fn the_key_part_is_the_same_for_ever() {
        // With another one, a retry after an upgrade would be a second submission.
        assert_eq!(under(0, "ada", "k").key_part(), "783c-be7f-28d96f5f2623");
    }
}
