//! `progress_submissions_v1`: the projector's own memory of each submission, until some time after
//! its end. Readers have no use for it.

use std::time::Duration;

use events::{Digest, Lane, LanguageSlug, State, SubmissionId, UserId};
use serde::{Deserialize, Serialize};

use super::document::GuardedDocument;
use super::field::{Moment, text};

/// How long the end of a submission is remembered.
// Not forgotten at once: while two projectors fold the same events, one of them may be about to
// store an earlier state. It meets this document and loads the end; without the document it would
// leave a submission that never ends. A fold takes a minute at most.
pub(super) const REMEMBERED_AFTER_END: Duration = Duration::from_mins(10);

/// What is remembered of one accepted submission: whose it is, and just enough to ask the ledger's
/// own rules whether the next event is legal. Outputs, results and times stay out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct TrackedSubmission {
    /// The document's key.
    #[serde(rename = "_id")]
    pub key: TrackedKey,
    /// The last event folded.
    pub last_seq: u64,
    /// Who submitted it.
    pub principal: UserId,
    pub lane: Lane,
    pub language: LanguageSlug,
    /// The hash of its cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite_sha256: Option<Digest>,
    /// How many cases it has.
    pub case_count: u32,
    /// The state that clients see.
    pub state: State,
    /// The number of the last attempt, 0 before the first.
    pub attempt: u32,
    /// Whether that attempt is lost.
    pub lost: bool,
    /// Whether that attempt has compiled.
    pub compiled: bool,
    /// How many results that attempt has; 0 once all is over, when no rule asks any more.
    pub results: u32,
    /// When its end was stored here. From then on the document is only there for
    /// [`REMEMBERED_AFTER_END`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
}

/// The key of what is remembered of one submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct TrackedKey {
    pub generation: i32,
    #[serde(with = "text")]
    pub submission: SubmissionId,
}

impl GuardedDocument for TrackedSubmission {
    const COLLECTION: &'static str = "progress_submissions_v1";

    fn key(&self) -> impl Serialize + '_ {
        &self.key
    }

    fn last_seq(&self) -> u64 {
        self.last_seq
    }
}
