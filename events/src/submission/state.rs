//! What the events of a submission say, folded.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::lifecycle::{Lifecycle, State};
use crate::Timestamp;
use crate::digest::Digest;
use crate::event::{
    CaseResult, Compiled, Completed, Failed, Isolation, LanguageRef, LostReason, Origin,
};
use crate::ids::{BootId, SubmissionId};
use crate::names::{ExecutorName, PoolName, UserId};
use crate::subject::Lane;

/// A fold of any prefix of a submission's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// The submission, once its accepted event has been folded.
    pub submission: Option<Submission>,
    /// How many illegal events were met and ignored.
    pub violations: u32,
}

/// A submission, as far as its events tell. All times are the stream's, not the writers'.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Submission {
    pub id: SubmissionId,
    pub principal: UserId,
    pub lane: Lane,
    pub pool: PoolName,
    pub language: LanguageRef,
    /// The API that it came through.
    pub origin: Origin,
    /// How many cases it has.
    pub case_count: u32,
    /// The hash of its cases.
    pub suite_sha256: Option<Digest>,
    /// The hash of the request.
    pub request_hash: Digest,
    pub state: State,
    /// Every attempt; the last one is the current one.
    pub attempts: Vec<Attempt>,
    /// What the compiler said in the current attempt.
    pub compiled: Option<Compiled>,
    /// The results of the current attempt.
    pub results: Vec<CaseResult>,
    pub outcome: Option<Outcome>,
    pub accepted_at: Timestamp,
    /// When the current attempt had compiled.
    pub compiled_at: Option<Timestamp>,
    /// When a cancellation was requested.
    pub cancellation_requested_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// The sequence of its accepted event.
    pub accepted_sequence: u64,
    /// The sequence of the last event folded, legal or not.
    pub sequence: u64,
}

/// One attempt to run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    pub executor: ExecutorName,
    /// The life of the executor's process.
    pub boot_id: BootId,
    pub image: String,
    /// The image's content digest.
    pub image_digest: String,
    /// The hash of the cell's restrictions.
    pub sandbox_profile: Digest,
    pub isolation: Isolation,
    pub kernel: String,
    /// The processor's model name.
    pub cpu_model: String,
    /// The version of the language that ran it.
    pub language_version: String,
    pub started_at: Timestamp,
    /// How it was lost, if it was.
    pub lost: Option<LostAttempt>,
}

/// The end of an attempt that never reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LostAttempt {
    pub reason: LostReason,
    /// When that was recorded.
    pub at: Timestamp,
}

/// How a submission ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// With a verdict. The `results` are empty here: all results stand in [`Submission::results`].
    Completed(Box<Completed>),
    /// With a platform fault.
    Failed(Failed),
    /// On request, by this actor.
    Cancelled(String),
}

impl Submission {
    /// Returns what the rules ask of the submission.
    pub fn lifecycle(&self) -> Lifecycle {
        // Computed, not kept: a copy could come to disagree with the attempts and results.
        let last = self.attempts.last();
        let results = if self.state.is_terminal() { 0 } else { self.results.len() };
        Lifecycle {
            state: self.state,
            case_count: self.case_count,
            attempt: last.map_or(0, |attempt| attempt.number),
            lost: last.is_some_and(|attempt| attempt.lost.is_some()),
            compiled: self.compiled.is_some(),
            results: u32::try_from(results).unwrap_or(u32::MAX),
        }
    }

    /// Returns the attempt that runs: the last one, unless it is lost or the submission has ended.
    pub fn running_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|_| self.lifecycle().running_attempt().is_some())
    }

    /// Returns the number that the next attempt gets.
    pub fn next_attempt(&self) -> u32 {
        self.attempts.last().map_or(1, |attempt| attempt.number + 1)
    }

    /// Returns the verdict, if there is one.
    pub fn verdict(&self) -> Option<crate::Verdict> {
        match &self.outcome {
            Some(Outcome::Completed(completed)) => Some(completed.verdict),
            Some(Outcome::Failed(_) | Outcome::Cancelled(_)) | None => None,
        }
    }
}
