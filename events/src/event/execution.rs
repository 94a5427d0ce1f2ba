//! What an executor says while an attempt runs.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::content::Captured;
use crate::digest::Digest;
use crate::ids::BootId;
use crate::names::ExecutorName;
use crate::verdict::{Exit, Usage, Verdict};

/// `execution.started`: who runs it, in what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// The attempt, from 1.
    pub attempt: u32,
    /// The executor's name.
    pub executor: ExecutorName,
    /// The executor's life.
    pub boot_id: BootId,
    /// The image's name, as `runledger/core:dev`.
    pub image: String,
    /// The image's content digest, as the engine gives it: `sha256:…`.
    pub image_digest: String,
    /// The hash of everything that restricts the cell: container settings and seccomp profile.
    pub sandbox_profile: Digest,
    /// How cells are shared.
    pub isolation: Isolation,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's model name.
    pub cpu_model: String,
}

/// How a cell is shared between submissions (design §5).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Isolation {
    /// One submission, then the container is destroyed.
    SingleUse,
}

/// `execution.compiled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compiled {
    /// The attempt.
    pub attempt: u32,
    /// Whether there is something to run now.
    pub ok: bool,
    /// How the compiler ended.
    pub exit: Exit,
    /// What it said, both streams in one.
    pub output: Captured,
    /// What it used.
    pub usage: Usage,
}

/// `execution.judged`: results of consecutive cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The attempt.
    pub attempt: u32,
    /// The number of the first case here, from 0.
    pub first: u32,
    /// The results, in the cases' order.
    pub results: Vec<CaseResult>,
}

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseResult {
    /// The case's number, from 0.
    pub case: u32,
    /// What its author calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The judgement.
    pub verdict: Verdict,
    /// How the program ended.
    pub exit: Exit,
    /// What it used.
    pub usage: Usage,
    /// The hash of what was kept of its standard output.
    pub output_sha256: Digest,
    /// The points it earned.
    pub points: u32,
}

/// `execution.lost`: an attempt will never report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// The attempt.
    pub attempt: u32,
    /// Why it is held to be lost.
    pub reason: LostReason,
    /// The executor that noticed.
    pub observer: ExecutorName,
}

/// Why an attempt is held to be lost.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LostReason {
    /// The executor that started it does not answer any more.
    ExecutorGone,
    /// The executor lives, and does not hold it any more.
    NotHeld,
    /// The cell died or did not answer in time.
    CellDied,
    /// The executor was told to stop, and handed it back.
    HandedBack,
}
