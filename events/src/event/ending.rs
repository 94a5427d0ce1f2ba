//! How a submission ends, and the request to end it.

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
    /// Why, in the words of the one who asked.
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
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Completed {
    pub attempt: u32,
    pub verdict: Verdict,
    /// How the program ended; absent after a compile error, when none ran.
    pub exit: Option<Exit>,
    /// The limit that stopped it.
    pub stopped_by: Option<StopCause>,
    /// What the run used; with cases, the time of all and the most memory of any.
    pub usage: Usage,
    /// Standard output of the run; with cases, that of the deciding one: the first that is not
    /// accepted, else the last.
    pub stdout: Captured,
    /// Standard error of the same run.
    pub stderr: Captured,
    /// The results that stand in no `execution.judged`.
    // They travel with the verdict, so that a short submission needs no event for them.
    pub results: Vec<CaseResult>,
    /// The summary of all cases; absent in lane `run`.
    pub cases: Option<CasesSummary>,
    pub timings: Timings,
}

impl Completed {
    /// Returns what the program used; nothing if none ran.
    pub fn program_usage(&self) -> Option<Usage> {
        // After a compile error `usage` is the default, and zeros would look like a measurement.
        self.exit.map(|_| self.usage)
    }
}

/// A summary of all cases of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct CasesSummary {
    pub total: u32,
    /// How many were run.
    pub run: u32,
    /// How many gave the expected output.
    pub passed: u32,
    /// The points earned.
    pub points: u64,
    /// The points of all cases.
    pub points_max: u64,
    /// The hash of the JSON array of all results, of every event of the attempt.
    pub results_sha256: Digest,
}

/// Where the executor's time went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// From the delivery of the submission to a cell that is ready.
    pub cell_us: u64,
    /// Writing and compiling the files.
    pub prepare_us: u64,
    /// Running the program and comparing its outputs.
    pub run_us: u64,
}

/// `execution.failed`: the platform's fault, never the program's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Failed {
    pub class: FailureClass,
    /// What happened, for operators.
    pub reason: String,
    /// How many attempts were made.
    pub attempts: u32,
}

/// The kinds of platform faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FailureClass {
    /// As many attempts were lost as are allowed.
    AttemptsExhausted,
    /// No executor of the pool can run what stands in the ledger.
    Unrunnable,
}
