//! How a submission ends, and the wish to end it.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::execution::CaseResult;
use crate::content::Captured;
use crate::digest::Digest;
use crate::verdict::{Exit, StopCause, Usage, Verdict};

/// `cancellation.requested`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancellationRequested {
    /// Who asked, as an actor: `user:…`.
    pub by: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `submission.cancelled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancelled {
    /// Who carried it out, as an actor: `user:…` where nothing had begun, else `executor:…`.
    pub by: String,
}

/// `execution.completed`: the verdict and what shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completed {
    /// The attempt.
    pub attempt: u32,
    /// The judgement.
    pub verdict: Verdict,
    /// How the program ended; absent after a compile error, when none ran.
    pub exit: Option<Exit>,
    /// The limit that stopped it.
    pub stopped_by: Option<StopCause>,
    /// Of a run, what it used; of cases, the time of all and the most memory of any.
    pub usage: Usage,
    /// Standard output of the run; of cases, that of the deciding one: the first that is not accepted, else the last.
    pub stdout: Captured,
    /// Standard error of the same run.
    pub stderr: Captured,
    /// The results that no `execution.judged` has told yet.
    pub results: Vec<CaseResult>,
    /// All cases in short; absent in lane `run`.
    pub cases: Option<CasesSummary>,
    /// Where the executor's time went.
    pub timings: Timings,
}

impl Completed {
    /// Returns what the program used; nothing where none ran.
    pub fn program_usage(&self) -> Option<Usage> {
        self.exit.map(|_| self.usage)
    }
}

/// All cases of a submission in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CasesSummary {
    /// How many there are.
    pub total: u32,
    /// How many were run.
    pub run: u32,
    /// How many are accepted.
    pub passed: u32,
    /// The points earned.
    pub points: u64,
    /// The points to be had.
    pub points_max: u64,
    /// The hash of the JSON array of all results, whichever event told them.
    pub results_sha256: Digest,
}

/// Where the executor's time went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// From having the message to having a cell that is ready.
    pub cell_us: u64,
    /// Files written and compiled.
    pub prepare_us: u64,
    /// Runs of the program and comparisons of its outputs.
    pub run_us: u64,
}

/// `execution.failed`: the platform's fault, never the program's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// What kind of fault.
    pub class: FailureClass,
    /// What happened, for operators.
    pub reason: String,
    /// How many attempts were made.
    pub attempts: u32,
}

/// The kinds of platform faults.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FailureClass {
    /// As many attempts as allowed were lost.
    AttemptsExhausted,
    /// No executor of the pool can run it, as it is written in the ledger.
    Unrunnable,
}
