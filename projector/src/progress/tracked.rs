//! What is remembered of each submission: whose it is, and just enough to ask the ledger's own rules whether the next event
//! is legal. Outputs, results and times stay out.

use std::str::FromStr as _;

use events::event::{CaseResult, Compiled, Isolation, LanguageRef, LostReason, Origin};
use events::submission::{Attempt, LostAttempt};
use events::{
    BootId, Captured, Digest, ExecutorName, Exit, Fold, Lane, LanguageSlug, PoolName, State,
    Submission, SubmissionId, Timestamp, Usage, UserId, Verdict,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
    /// Remembers a submission.
    pub fn of(generation: i32, submission: &Submission) -> Self {
        let last = submission.attempts.last();
        let results = if submission.state.is_terminal() { 0 } else { submission.results.len() };
        Self {
            key: TrackedKey { generation, submission: submission.id },
            last_seq: submission.sequence,
            principal: submission.principal.clone(),
            lane: submission.lane,
            language: submission.language.slug.clone(),
            suite_sha256: submission.suite_sha256,
            case_count: submission.case_count,
            state: submission.state,
            attempt: last.map_or(0, |attempt| attempt.number),
            lost: last.is_some_and(|attempt| attempt.lost.is_some()),
            compiled: submission.compiled.is_some(),
            results: u32::try_from(results).unwrap_or(u32::MAX),
        }
    }

    /// Makes a fold that the ledger's rules answer the same for as for the real one: they look at the state, the last
    /// attempt, and whether and how many results there are, never into them. What was not remembered is blank.
    pub fn to_fold(&self) -> Fold {
        let submission = Submission {
            id: self.key.submission,
            principal: self.principal.clone(),
            lane: self.lane,
            pool: PoolName::from_str("blank").expect("a plain token"),
            language: LanguageRef { slug: self.language.clone(), version: String::new() },
            origin: Origin::Native,
            case_count: self.case_count,
            suite_sha256: self.suite_sha256,
            request_hash: Digest::of(&[]),
            state: self.state,
            attempts: (self.attempt > 0).then(|| self.blank_attempt()).into_iter().collect(),
            compiled: self.compiled.then(|| self.blank_compiled()),
            results: (0..self.results).map(blank_result).collect(),
            outcome: None,
            accepted_at: Timestamp::UNIX_EPOCH,
            compiled_at: None,
            cancellation_requested_at: None,
            finished_at: None,
            accepted_sequence: 0,
            sequence: self.last_seq,
        };
        Fold { submission: Some(submission), violations: 0 }
    }

    fn blank_attempt(&self) -> Attempt {
        let lost = LostAttempt { reason: LostReason::NotHeld, at: Timestamp::UNIX_EPOCH };
        Attempt {
            number: self.attempt,
            executor: ExecutorName::from_str("blank").expect("a plain token"),
            boot_id: BootId::new(Uuid::nil()),
            image: String::new(),
            image_digest: String::new(),
            sandbox_profile: Digest::of(&[]),
            isolation: Isolation::SingleUse,
            kernel: String::new(),
            cpu_model: String::new(),
            started_at: Timestamp::UNIX_EPOCH,
            lost: self.lost.then_some(lost),
        }
    }

    fn blank_compiled(&self) -> Compiled {
        Compiled {
            attempt: self.attempt,
            ok: true,
            exit: Exit::Code(0),
            output: Captured::default(),
            usage: Usage::default(),
        }
    }

    /// Returns the submission.
    pub fn submission(&self) -> SubmissionId {
        self.key.submission
    }
}

fn blank_result(case: u32) -> CaseResult {
    CaseResult {
        case,
        name: None,
        verdict: Verdict::Finished,
        exit: Exit::Code(0),
        usage: Usage::default(),
        output_sha256: Digest::of(&[]),
        points: 0,
    }
}
