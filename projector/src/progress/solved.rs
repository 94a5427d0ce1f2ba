//! A suite that a user has solved. A document of its own, since one user may solve any number of them.

use serde::{Deserialize, Serialize};

use super::fact::Fact;
use super::key::SolvedKey;
use super::moment::Moment;

/// How often one user has solved one suite, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solved {
    /// The document's key.
    #[serde(rename = "_id")]
    pub key: SolvedKey,
    /// The last event folded.
    pub last_seq: u64,
    /// How many submissions solved it.
    pub count: u64,
    /// When the first one did.
    pub first_at: Moment,
    /// The sequence of that event. It tells a replay which event was the first, whichever document was written before a crash.
    pub first_seq: u64,
}

impl Solved {
    /// Folds a fact that says that the suite is solved; one that is folded already changes nothing.
    #[must_use]
    pub fn after(before: Option<Self>, key: SolvedKey, fact: &Fact) -> Self {
        match before {
            None => Self {
                key,
                last_seq: fact.sequence,
                count: 1,
                first_at: fact.at,
                first_seq: fact.sequence,
            },
            Some(solved) if solved.last_seq >= fact.sequence => solved,
            Some(solved) => Self { last_seq: fact.sequence, count: solved.count + 1, ..solved },
        }
    }
}
