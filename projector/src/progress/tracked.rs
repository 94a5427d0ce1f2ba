//! What is remembered of each submission: whose it is, and just enough to ask the ledger's own rules whether the next event
//! is legal. Outputs, results and times stay out.

use events::event::Suite;
use events::submission::Lifecycle;
use events::{Digest, Event, Lane, LanguageSlug, Recorded, State, SubmissionId, UserId};
use serde::{Deserialize, Serialize};

use super::key::TrackedKey;

/// What is remembered of one accepted submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tracked {
    /// The document's key.
    #[serde(rename = "_id")]
    pub key: TrackedKey,
    /// The last event folded.
    pub last_seq: u64,
    /// Who submitted it.
    pub principal: UserId,
    /// Its lane.
    pub lane: Lane,
    /// Its language.
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
    /// How many results that attempt has; 0 once all is over, when nobody asks any more.
    pub results: u32,
}

impl Tracked {
    /// Remembers the submission that an event begins; any other event begins none.
    pub fn begin(generation: i32, recorded: &Recorded) -> Option<Self> {
        let Event::Accepted(accepted) = &recorded.envelope.event else { return None };
        let Lifecycle { state, case_count, attempt, lost, compiled, results } =
            Lifecycle::begin(accepted);
        Some(Self {
            key: TrackedKey { generation, submission: recorded.envelope.submission },
            last_seq: recorded.sequence,
            principal: accepted.principal.clone(),
            lane: accepted.lane,
            language: accepted.language.slug.clone(),
            suite_sha256: accepted.suite.as_ref().map(Suite::sha256),
            case_count,
            state,
            attempt,
            lost,
            compiled,
            results,
        })
    }

    /// Returns what the ledger's rules ask.
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle {
            state: self.state,
            case_count: self.case_count,
            attempt: self.attempt,
            lost: self.lost,
            compiled: self.compiled,
            results: self.results,
        }
    }

    /// Remembers where the submission is in its life now.
    pub fn remember(&mut self, lifecycle: Lifecycle) {
        let Lifecycle { state, case_count, attempt, lost, compiled, results } = lifecycle;
        self.state = state;
        self.case_count = case_count;
        self.attempt = attempt;
        self.lost = lost;
        self.compiled = compiled;
        self.results = results;
    }

    /// Returns the submission.
    pub fn submission(&self) -> SubmissionId {
        self.key.submission
    }
}
