//! `progress_solved_v1`: one document for each suite that a user has solved. A collection of its
//! own, since one user may solve any number of suites, and a document must stay bounded.

use events::{Digest, UserId};
use serde::{Deserialize, Serialize};

use super::document::GuardedDocument;
use super::field::Moment;

/// How often one user has solved one suite, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolvedSuite {
    /// The document's key.
    #[serde(rename = "_id")]
    pub key: SolvedKey,
    /// The last event folded.
    pub last_seq: u64,
    /// How many submissions solved it.
    pub count: u64,
    /// When the first one did.
    pub first_at: Moment,
    /// The sequence of that event. It tells a replay which event was the first, whichever document
    /// was written before a crash.
    pub first_seq: u64,
}

/// The key of one suite that a user has solved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct SolvedKey {
    pub generation: i32,
    pub principal: UserId,
    pub suite_sha256: Digest,
}

impl GuardedDocument for SolvedSuite {
    const COLLECTION: &'static str = "progress_solved_v1";

    fn key(&self) -> impl Serialize + '_ {
        &self.key
    }

    fn last_seq(&self) -> u64 {
        self.last_seq
    }
}
