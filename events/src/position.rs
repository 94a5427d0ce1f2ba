//! How far a reader has come in a ledger. It names the ledger and what was read last, so that a
//! ledger that was set back or replaced is seen before anything more is read.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::LedgerId;

/// The last message that a reader has taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LedgerPosition {
    pub ledger: LedgerId,
    pub sequence: u64,
    /// The hash of the message's bytes.
    // The sequence alone says nothing: a ledger that was set back has it again, under other bytes.
    pub digest: Digest,
}
