//! Messages of the ledger that are no event of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::{Digest, LedgerId};
use serde::Serialize;
use views::results::QuarantinedMessage;

use super::Stamp;

/// One page of them.
#[derive(Debug, Serialize)]
pub(crate) struct QuarantineBody {
    pub(crate) items: Vec<QuarantinedBody>,
    /// The cursor of the next page; null on the last.
    pub(crate) next: Option<String>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct QuarantinedBody {
    ledger: LedgerId,
    sequence: u64,
    subject: String,
    /// How many bytes it has.
    length: u64,
    sha256: Digest,
    reason: String,
    stored_at: Stamp,
    /// Its first 64 KiB, as base64: they may be anything.
    bytes: String,
}

impl From<QuarantinedMessage> for QuarantinedBody {
    fn from(message: QuarantinedMessage) -> Self {
        Self {
            ledger: message.ledger,
            sequence: message.sequence,
            subject: message.subject,
            length: message.payload_bytes,
            sha256: message.digest,
            reason: message.reason,
            stored_at: Stamp(message.stored_at),
            bytes: STANDARD.encode(message.payload),
        }
    }
}
