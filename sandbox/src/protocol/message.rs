//! The messages and what they are made of. Their meaning only; how they become bytes is in `frame`.

use serde::{Deserialize, Serialize};

use super::frame::FramedMessage;
use super::{ARGUMENTS_MAX, FILES_MAX, bounded};

/// What an executor asks of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Forget whatever was prepared before, write these files, and compile if there is something to compile.
    Prepare(Prepare),
    /// Run a program on what is prepared. Leaves nothing behind for the next run.
    Run(Stage),
}

/// What a cell answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The cell waits for its first request. Sent once, unasked.
    Ready(Ready),
    /// The answer to [`Request::Prepare`].
    Prepared(Prepared),
    /// The answer to [`Request::Run`].
    Ran(StageReport),
    /// The cell could not do what was asked. It is no statement on the user's program, and the cell ends after it.
    Fault {
        /// Why, for the operator's log.
        message: String,
    },
}

/// Files, and how to compile them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// The submission's files.
    #[serde(deserialize_with = "bounded::sequence::<_, _, FILES_MAX>")]
    pub files: Vec<CellFile>,
    /// The compiler's run, for languages that have one.
    pub compile: Option<Stage>,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellFile {
    /// A plain relative path: no empty, `.` or `..` component, no NUL.
    pub path: String,
    /// Its bytes.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// One program's run, of a compiler or of what the user wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The command line. The program is looked up in the cell's `PATH` unless it has a slash.
    #[serde(deserialize_with = "bounded::sequence::<_, _, ARGUMENTS_MAX>")]
    pub argv: Vec<String>,
    /// What the program reads on standard input.
    #[serde(with = "serde_bytes")]
    pub stdin: Vec<u8>,
    /// Where it is stopped.
    pub limits: StageLimits,
}

/// Limits of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageLimits {
    /// Processor time of all processes together, in milliseconds.
    pub cpu_time_ms: u32,
    /// Time from start to end, in milliseconds.
    pub wall_time_ms: u32,
    /// Memory of all processes and of the files they write, in KiB. The container's own limit stands above it.
    pub memory_kib: u32,
    /// Stack of each process, in KiB.
    pub stack_kib: u32,
    /// What is kept of standard output, and as much again of standard error, in bytes; more stops the program.
    pub output_bytes: u32,
    /// The largest file that the program may write, in KiB.
    pub file_size_kib: u32,
    /// Processes and threads at once.
    pub processes: u32,
}

/// What a stage did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// How the main process ended.
    pub exit: StageExit,
    /// The limit that ended the stage, if one did.
    pub stopped: Option<ExceededLimit>,
    /// What the stage took.
    pub usage: StageUsage,
    /// Standard output.
    pub stdout: StageOutput,
    /// Standard error.
    pub stderr: StageOutput,
}

/// How the main process of a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StageExit {
    /// By itself, with this code. As in a shell, 127 is also a program that was not found and 126 one that could not be
    /// executed; standard error then says so.
    Code(i32),
    /// By a signal of this number.
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
    /// Peak memory, in KiB: the largest process's resident set, or all processes' anonymous memory and files together
    /// where that is more.
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
    /// Whether [`Self::bytes`] is not all.
    pub truncated: bool,
}

/// A cell's first word.
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
