//! The messages and their parts. How they become bytes is in `frame`.

use serde::{Deserialize, Serialize};

use super::frame::FramedMessage;
use super::{ARGUMENTS_MAX, FILES_MAX, bounded};

/// What an executor asks of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Remove the files that were prepared before, write these, and compile them if there is a
    /// compiler.
    Prepare(Prepare),
    /// Run a program on the prepared files. The cell leaves nothing behind for the next run.
    Run(Stage),
}

/// What a cell answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The cell waits for its first request. It sends this once, unasked.
    Ready(Ready),
    /// The answer to [`Request::Prepare`].
    Prepared(Prepared),
    /// The answer to [`Request::Run`].
    Ran(StageReport),
    /// The cell could not do what was asked, and ends. This says nothing about the user's program.
    Fault {
        /// Why, for the operator's log.
        message: String,
    },
}

/// Files, and how to compile them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Prepare {
    #[serde(deserialize_with = "bounded::sequence::<_, _, FILES_MAX>")]
    pub files: Vec<CellFile>,
    /// The compiler's run; absent for a language without a compiler.
    pub compile: Option<Stage>,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct CellFile {
    /// A plain relative path: no empty, `.` or `..` component, no NUL.
    pub path: String,
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// One run of a program: of a compiler, or of what the user wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Stage {
    /// The command line. The cell looks the program up in its `PATH` unless the name has a slash.
    #[serde(deserialize_with = "bounded::sequence::<_, _, ARGUMENTS_MAX>")]
    pub argv: Vec<String>,
    /// What the program reads on standard input.
    #[serde(with = "serde_bytes")]
    pub stdin: Vec<u8>,
    pub limits: StageLimits,
}

/// Limits of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageLimits {
    /// Processor time of all processes together, in milliseconds.
    pub cpu_time_ms: u32,
    /// Time from start to end, in milliseconds. Time in which the stage could go on and others had
    /// the processors does not count.
    pub wall_time_ms: u32,
    /// Memory of all processes and of the files they write, in KiB. The container has a limit of
    /// its own above this one.
    pub memory_kib: u32,
    /// Stack of each process, in KiB.
    pub stack_kib: u32,
    /// What is kept of standard output, and as much again of standard error, in bytes; a program
    /// that writes more is stopped.
    pub output_bytes: u32,
    /// The largest file that the program may write, in KiB.
    pub file_size_kib: u32,
    /// Processes and threads at once.
    pub processes: u32,
}

/// What a stage did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct StageReport {
    /// How the main process ended.
    pub exit: StageExit,
    /// The limit that ended the stage, if one did.
    pub stopped: Option<ExceededLimit>,
    pub usage: StageUsage,
    pub stdout: StageOutput,
    pub stderr: StageOutput,
}

/// How the main process of a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StageExit {
    /// By itself, with this code. As in a shell, 127 is also the code for a program that was not
    /// found, and 126 for one that could not be executed; standard error then says so.
    Code(i32),
    /// By the signal of this number.
    Signal(i32),
}

/// The limit that a stage exceeded, and was ended for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExceededLimit {
    /// [`StageLimits::cpu_time_ms`].
    CpuTime,
    /// [`StageLimits::wall_time_ms`].
    WallTime,
    /// [`StageLimits::output_bytes`].
    Output,
    /// [`StageLimits::memory_kib`], or the container's own memory limit.
    Memory,
}

/// Resources that a stage took, over all of its processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageUsage {
    /// Processor time, in microseconds.
    pub cpu_us: u64,
    /// Time from start to the main process's end, in microseconds.
    pub wall_us: u64,
    /// What of it does not count for [`StageLimits::wall_time_ms`], in microseconds: the stage
    /// could go on, and others had the processors.
    pub discounted_us: u64,
    /// Peak memory, in KiB: the resident set of the largest process, or the anonymous memory and
    /// the files of all processes together, whichever is more.
    pub memory_peak_kib: u64,
}

/// What a stage wrote to one output stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageOutput {
    /// The first bytes, up to the limit.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// How many bytes were read before the stage ended or was stopped for them.
    pub total_bytes: u64,
    /// Whether the stage wrote more than [`Self::bytes`].
    pub truncated: bool,
}

/// The cell's first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The version that the cell speaks.
    pub protocol_version: u8,
}

/// The answer to [`Request::Prepare`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The compiler's run, if one was asked for.
    pub compile: Option<StageReport>,
}

impl FramedMessage for Request {
    const KIND: u8 = 1;
}

impl FramedMessage for Response {
    const KIND: u8 = 2;
}
