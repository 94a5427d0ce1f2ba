//! How a run ended: its verdict, its exit, what stopped it and what it used.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray, VariantNames};

/// The judgement of a run or of a case. A failure of the platform is never a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[derive(IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// Every case's output is right.
    Accepted,
    /// It ended well, with another output than expected.
    WrongAnswer,
    /// The compiler refused it.
    CompileError,
    /// It ended with a non-zero exit code or by a signal.
    RuntimeError,
    /// It used more processor time or wall time than its limit.
    TimeLimit,
    /// It used more memory than its limit.
    MemoryLimit,
    /// It wrote more than its limit.
    OutputLimit,
    /// It ended well, and there was nothing to compare.
    Finished,
}

/// How the main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Exit {
    /// It returned this exit code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// The limit that made the cell stop a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StopCause {
    /// `cpu_time_ms`.
    CpuTime,
    /// `wall_time_ms`.
    WallTime,
    /// `total_time_ms`, which all runs of a submission share.
    TotalTime,
    /// `memory_kib`.
    Memory,
    /// `output_bytes`.
    Output,
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// User and system time of all its processes, in microseconds.
    #[serde(deserialize_with = "crate::column_values::number")]
    pub cpu_us: u64,
    /// Time from start to end on a monotonic clock, in microseconds.
    #[serde(deserialize_with = "crate::column_values::number")]
    pub wall_us: u64,
    /// What of it did not count for the wall limit, in microseconds: the run could go on, and
    /// others had the processors.
    // Form 1 of the events has no such time.
    #[serde(default, deserialize_with = "crate::column_values::number")]
    pub discounted_us: u64,
    /// The most memory in use at once, in KiB.
    #[serde(deserialize_with = "crate::column_values::number")]
    pub memory_kib: u64,
}
