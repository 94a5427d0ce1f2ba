//! A submission's record in the ledger, event by event, byte by byte.

use ledger::Stored;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Stamp;
use crate::error::QueryError;

/// One stored event.
#[derive(Debug, Serialize)]
pub(crate) struct EventBody<'a> {
    sequence: u64,
    stored_at: Stamp,
    subject: String,
    // Raw, as it was stored: the next event's `previous` is the hash of these bytes, and a client
    // could not check it after a parse and a print.
    event: &'a RawValue,
}

impl<'a> TryFrom<&'a Stored> for EventBody<'a> {
    type Error = QueryError;

    fn try_from(stored: &'a Stored) -> Result<Self, QueryError> {
        let sequence = stored.recorded.sequence;
        Ok(Self {
            sequence,
            stored_at: Stamp(stored.recorded.stored_at),
            subject: stored.subject.to_string(),
            event: serde_json::from_slice(&stored.payload)
                .map_err(|source| QueryError::Payload { sequence, source })?,
        })
    }
}
