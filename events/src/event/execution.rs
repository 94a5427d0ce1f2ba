//! What an executor records while an attempt runs.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::content::Captured;
use crate::digest::Digest;
use crate::ids::BootId;
use crate::names::ExecutorName;
use crate::verdict::{Exit, Usage, Verdict};

/// `execution.started`: which executor runs the submission, and in what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Started {
    /// The attempt, from 1.
    pub attempt: u32,
    pub executor: ExecutorName,
    /// The life of the executor's process.
    pub boot_id: BootId,
    /// The image's name, as `runledger/core:dev`.
    #[serde(deserialize_with = "crate::column_values::text")]
    pub image: String,
    /// The image's content digest, as the engine gives it: `sha256:…`.
    // A tag may name another image tomorrow; the digest is what shows what ran.
    #[serde(deserialize_with = "crate::column_values::text")]
    pub image_digest: String,
    /// The hash of everything that restricts the cell: container settings and seccomp profile.
    pub sandbox_profile: Digest,
    pub isolation: Isolation,
    #[serde(deserialize_with = "crate::column_values::text")]
    pub kernel: String,
    /// The processor's model name.
    #[serde(deserialize_with = "crate::column_values::text")]
    pub cpu_model: String,
    /// The version of the language that runs it; absent in form 1, where it was always the accepted
    /// one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::column_values::text_or_none"
    )]
    pub language_version: Option<String>,
}

/// How a cell is shared between submissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Isolation {
    /// One submission, then the container is destroyed.
    SingleUse,
}

/// `execution.compiled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Compiled {
    pub attempt: u32,
    /// Whether there is something to run now.
    pub ok: bool,
    pub exit: Exit,
    /// What the compiler wrote, both streams in one.
    pub output: Captured,
    pub usage: Usage,
}

/// `execution.judged`: results of consecutive cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Judged {
    pub attempt: u32,
    /// The number of the first case here, from 0.
    pub first: u32,
    /// The results, in the cases' order.
    pub results: Vec<CaseResult>,
}

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct CaseResult {
    /// The case's number, from 0.
    pub case: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub verdict: Verdict,
    pub exit: Exit,
    pub usage: Usage,
    /// The hash of what was kept of its standard output.
    // The outputs of all cases would not fit into an event; `execution.completed` has the deciding
    // one.
    pub output_sha256: Digest,
    /// The points it earned.
    pub points: u32,
}

/// `execution.lost`: the attempt will never report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Lost {
    pub attempt: u32,
    pub reason: LostReason,
    /// The executor that noticed.
    pub observer: ExecutorName,
}

/// Why an attempt is declared lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LostReason {
    /// The executor that started it does not answer any more.
    ExecutorGone,
    /// The executor answers that it does not run it any more.
    NotHeld,
    /// The cell died or did not answer in time.
    CellDied,
    /// The executor was told to stop, and gave it back.
    HandedBack,
}
