//! What is known of a submission after folding its events.

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

/// A submission, as far as its events tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its id.
    pub id: SubmissionId,
    /// Who submitted it.
    pub principal: UserId,
    /// Run or submit.
    pub lane: Lane,
    /// The pool that runs it.
    pub pool: PoolName,
    /// The language.
    pub language: LanguageRef,
    /// The API that it came through.
    pub origin: Origin,
    /// How many cases it has.
    pub case_count: u32,
    /// The hash of its cases.
    pub suite_sha256: Option<Digest>,
    /// The hash of the request.
    pub request_hash: Digest,
    /// The state that clients see.
    pub state: State,
    /// Every attempt, the last one is the current.
    pub attempts: Vec<Attempt>,
    /// What the compiler said in the current attempt.
    pub compiled: Option<Compiled>,
    /// The results of the current attempt.
    pub results: Vec<CaseResult>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// When it was accepted. All times are the stream's.
    pub accepted_at: Timestamp,
    /// When the current attempt had compiled.
    pub compiled_at: Option<Timestamp>,
    /// When somebody asked to cancel it.
    pub cancellation_requested_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The sequence of its accepted event.
    pub accepted_sequence: u64,
    /// The sequence of the last event folded, legal or not.
    pub sequence: u64,
}

/// One attempt to run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The executor that started it.
    pub executor: ExecutorName,
    /// That executor's life.
    pub boot_id: BootId,
    /// The image's name.
    pub image: String,
    /// The image's content digest.
    pub image_digest: String,
    /// The hash of the cell's restrictions.
    pub sandbox_profile: Digest,
    /// How its cell is shared.
    pub isolation: Isolation,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's model name.
    pub cpu_model: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// How it was lost, where it was.
    pub lost: Option<LostAttempt>,
}

/// The end of an attempt that never reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostAttempt {
    /// Why it is held to be lost.
    pub reason: LostReason,
    /// When that was recorded.
    pub at: Timestamp,
}

/// How a submission ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// With a verdict. Its `results` stand in [`Submission::results`], and are empty here.
    Completed(Box<Completed>),
    /// With a platform fault.
    Failed(Failed),
    /// On request, by this actor.
    Cancelled(String),
}

impl Submission {
    /// Returns what the rules ask of the submission.
    pub fn lifecycle(&self) -> Lifecycle {
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

    /// Returns the attempt that is under way: the last one, unless it is lost or all is over.
    pub fn running_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|_| self.lifecycle().running_attempt().is_some())
    }

    /// Returns the number that the next attempt gets.
    pub fn next_attempt(&self) -> u32 {
        self.attempts.last().map_or(1, |attempt| attempt.number + 1)
    }

    /// Returns the verdict, where there is one.
    pub fn verdict(&self) -> Option<crate::Verdict> {
        match &self.outcome {
            Some(Outcome::Completed(completed)) => Some(completed.verdict),
            Some(Outcome::Failed(_) | Outcome::Cancelled(_)) | None => None,
        }
    }
}
