//! The documents' keys. The generation goes first, so that one generation is one range of the collection.

use events::{Digest, SubmissionId, UserId};
use serde::{Deserialize, Serialize};

use super::text;

/// The key of one user's progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressKey {
    /// The copy of the view.
    pub generation: i32,
    /// The user.
    pub principal: UserId,
}

/// The key of one suite that a user has solved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolvedKey {
    /// The copy of the view.
    pub generation: i32,
    /// The user.
    pub principal: UserId,
    /// The hash of the suite.
    pub suite_sha256: Digest,
}

/// The key of what is remembered of one submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackedKey {
    /// The copy of the view.
    pub generation: i32,
    /// The submission.
    #[serde(with = "text")]
    pub submission: SubmissionId,
}
