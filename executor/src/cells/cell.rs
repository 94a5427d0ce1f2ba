//! One attached cell: a request in, its answer out, within a deadline. Survives a cell that lies,
//! floods, hangs or dies: a hostile program may have taken it over. Keeps out how cells are made
//! and removed.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use sandbox::protocol::{
    Decoder, PROTOCOL_VERSION, Prepare, Prepared, ProtocolError, Ready, Request, Response, Stage,
    StageLimits, StageOutput, StageReport, WALL_STRETCH_MAX, encode,
};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::pipes::{Chunk, Pipes};

/// What a cell may take beyond its stages' wall times: to write files, to wipe those of the last
/// run, and to be scheduled at all on a busy machine.
pub const GRACE: Duration = Duration::from_secs(10);

// The bounds below refuse numbers that no machine can produce. They are far above any real one, so
// that a report is never refused because the machine is large.

/// Processor time is at most wall time on so many processors.
const PROCESSORS_MAX: u32 = 1_024;
const MEMORY_KIB_MAX: u64 = 1 << 36;
/// What a program can write to a pipe within the longest wall time.
const OUTPUT_TOTAL_BYTES_MAX: u64 = 1 << 48;

/// How long an answer may be beyond the outputs in it.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What is kept for the log of what the cell's own program says.
const STDERR_BYTES_KEPT: usize = 2 * 1024;

/// Why a cell gave no answer. The cell is of no use after any of these.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum CellError {
    /// Its pipe ended.
    #[error("the cell died{}: {stderr:?}", if *oom_killed { " for want of memory" } else { "" })]
    Died {
        /// Whether the kernel ended something in it for want of memory.
        oom_killed: bool,
        /// What its own program last said.
        stderr: String,
    },
    /// It did not answer in time.
    #[error("the cell did not answer within {} ms", after.as_millis())]
    Unresponsive { after: Duration },
    /// What it wrote is not an answer to what was asked.
    #[error("the cell broke the protocol: {breach}")]
    Protocol { breach: ProtocolBreach },
    /// It says that it could not do what was asked.
    #[error("the cell gave up: {message}")]
    Fault { message: String },
    /// The request is too large for the protocol.
    #[error("the request cannot be sent")]
    Request(#[source] ProtocolError),
    /// The engine could not prepare the cell for the request.
    #[error("the cell's limits cannot be set")]
    Limits(#[source] super::engine::EngineError),
}

/// How a cell broke the protocol.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProtocolBreach {
    /// Bytes that are not a message.
    #[error("{0}")]
    Malformed(ProtocolError),
    /// An answer to something else.
    #[error("an answer of another kind")]
    WrongKind,
    /// An answer without a question.
    #[error("an answer that was not asked for")]
    Unasked,
    /// Another version.
    #[error("version {0} of the protocol")]
    Version(u8),
    /// More bytes than its answer can have.
    #[error("more than {0} bytes")]
    Flood(u64),
    /// More than a stage can have used or written within its limits.
    #[error("more than its limits allow")]
    OverLimit,
}

impl CellError {
    fn breach(breach: ProtocolBreach) -> Self {
        Self::Protocol { breach }
    }
}

/// A cell that waits for a request.
#[derive(Debug)]
pub struct AttachedCell {
    pipes: Pipes,
    decoder: Decoder<Response>,
    stderr: Vec<u8>,
    /// It ended, or wrote something when nothing was asked.
    spoiled: bool,
}

impl AttachedCell {
    /// Waits for the first message of a cell that has just been started.
    pub async fn greet(pipes: Pipes, within: Duration) -> Result<Self, CellError> {
        let mut cell = Self { pipes, decoder: Decoder::new(), stderr: Vec::new(), spoiled: false };
        let heard = timeout(within, cell.receive(ANSWER_BYTES_MAX)).await;
        match heard.map_err(|_elapsed| CellError::Unresponsive { after: within })?? {
            Response::Ready(Ready { protocol_version: PROTOCOL_VERSION }) => Ok(cell),
            Response::Ready(other) => {
                Err(CellError::breach(ProtocolBreach::Version(other.protocol_version)))
            }
            Response::Prepared(_) | Response::Ran(_) => {
                Err(CellError::breach(ProtocolBreach::WrongKind))
            }
            Response::Fault { message } => Err(CellError::Fault { message }),
        }
    }

    /// Looks, without waiting, whether the cell still waits in silence as it should.
    pub fn is_waiting(&mut self) -> bool {
        // Everything that is in the pipe by now, since an end may stand behind harmless warnings.
        while !self.spoiled
            && let Some(item) = self.pipes.output.next().now_or_never()
        {
            match item {
                Some(Ok(Chunk::Stderr(bytes))) if self.stderr.len() < STDERR_BYTES_KEPT => {
                    self.keep_stderr(&bytes);
                }
                Some(Ok(Chunk::Stdout(bytes))) => {
                    // Kept all the same: it may say why the cell gives up, see `why_broken`.
                    self.decoder.push(&bytes);
                    self.spoiled = true;
                }
                // A cell that writes on and on while nothing is asked is not one to be used.
                Some(Ok(Chunk::Stderr(_)) | Err(_)) | None => self.spoiled = true,
            }
        }
        !self.spoiled
    }

    /// Has files written and compiled.
    pub async fn prepare(&mut self, prepare: Prepare) -> Result<Prepared, CellError> {
        let limits = prepare.compile.as_ref().map(|stage| stage.limits);
        let answer = self.ask(&Request::Prepare(prepare), limits).await?;
        let Response::Prepared(prepared) = answer else {
            return Err(CellError::breach(ProtocolBreach::WrongKind));
        };
        // A report of a compiler that was not asked to run would be recorded without any limits.
        if prepared.compile.is_some() != limits.is_some() {
            return Err(CellError::breach(ProtocolBreach::WrongKind));
        }
        if let (Some(report), Some(limits)) = (&prepared.compile, &limits) {
            check_report(report, limits)?;
        }
        Ok(prepared)
    }

    /// Has a program run to its end or to a limit.
    pub async fn run_stage(&mut self, stage: Stage) -> Result<StageReport, CellError> {
        let limits = stage.limits;
        let Response::Ran(report) = self.ask(&Request::Run(stage), Some(limits)).await? else {
            return Err(CellError::breach(ProtocolBreach::WrongKind));
        };
        check_report(&report, &limits)?;
        Ok(report)
    }

    /// Sends a request and waits for its answer, all within the stage's wall time and the grace.
    async fn ask(
        &mut self,
        request: &Request,
        limits: Option<StageLimits>,
    ) -> Result<Response, CellError> {
        let frame = Bytes::from(encode(request).map_err(CellError::Request)?);
        let (wall_ms, output_bytes) =
            limits.map_or((0, 0), |limits| (limits.wall_time_ms, limits.output_bytes));
        // The cell holds the wall time itself. This deadline is for one that does not.
        let deadline = wall_time_max(wall_ms) + GRACE;
        let bytes_max = ANSWER_BYTES_MAX + 2 * u64::from(output_bytes);
        // Sending counts, too: a cell that reads nothing would block a large request for ever.
        let exchange = async {
            self.send(&frame).await?;
            self.receive(bytes_max).await
        };
        match timeout(deadline, exchange).await {
            Ok(Ok(Response::Fault { message })) => Err(CellError::Fault { message }),
            Ok(answer) => answer,
            Err(_elapsed) => Err(CellError::Unresponsive { after: deadline }),
        }
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), CellError> {
        // What a program has planted in the pipe must not be taken for the answer to this request.
        if !self.is_waiting() {
            return Err(self.why_broken());
        }
        let sent = async {
            self.pipes.input.write_all(frame).await?;
            self.pipes.input.flush().await
        };
        let sent: io::Result<()> = sent.await;
        sent.map_err(|_closed| self.why_broken())
    }

    /// Reads up to one message, and makes sure that nothing follows it.
    async fn receive(&mut self, bytes_max: u64) -> Result<Response, CellError> {
        let mut received = 0;
        loop {
            let answer = self
                .decoder
                .next_message()
                .map_err(|e| CellError::breach(ProtocolBreach::Malformed(e)))?;
            if let Some(answer) = answer {
                let alone = self.decoder.is_between_messages();
                return if alone {
                    Ok(answer)
                } else {
                    Err(CellError::breach(ProtocolBreach::Unasked))
                };
            }
            let Some(Ok(chunk)) = self.pipes.output.next().await else {
                return Err(self.why_broken());
            };
            // Counted before it is kept, so that a flood costs no more memory than an honest
            // answer.
            received += match &chunk {
                Chunk::Stdout(bytes) | Chunk::Stderr(bytes) => bytes.len() as u64,
            };
            if received > bytes_max {
                return Err(CellError::breach(ProtocolBreach::Flood(bytes_max)));
            }
            match chunk {
                Chunk::Stdout(bytes) => self.decoder.push(&bytes),
                Chunk::Stderr(bytes) => self.keep_stderr(&bytes),
            }
        }
    }

    fn keep_stderr(&mut self, bytes: &[u8]) {
        let room = STDERR_BYTES_KEPT.saturating_sub(self.stderr.len());
        self.stderr.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Tells what is wrong when the pipe has ended, or had something in it when nothing was asked.
    /// The one honest message without a question is that the cell gives up.
    fn why_broken(&mut self) -> CellError {
        match self.decoder.next_message() {
            Ok(Some(Response::Fault { message })) => return CellError::Fault { message },
            Ok(None) if self.decoder.is_between_messages() => {}
            Ok(_) | Err(_) => return CellError::breach(ProtocolBreach::Unasked),
        }
        let stderr = String::from_utf8_lossy(&self.stderr).trim_end().to_owned();
        // Whether memory was the reason only the engine knows, and the lease asks it.
        CellError::Died { oom_killed: false, stderr }
    }
}

/// Returns how long a stage may take, others' time on the processors included.
fn wall_time_max(wall_time_ms: u32) -> Duration {
    Duration::from_millis(u64::from(wall_time_ms)) * WALL_STRETCH_MAX
}

/// Refuses a report of more than the cell may have read, or than a stage can have used: such a cell
/// is not what was started, and what it says would stand in the ledger for ever.
fn check_report(report: &StageReport, limits: &StageLimits) -> Result<(), CellError> {
    let over = |captured: &StageOutput| {
        let kept = captured.bytes.len() as u64;
        kept > u64::from(limits.output_bytes)
            || kept > captured.total_bytes
            || captured.total_bytes > OUTPUT_TOTAL_BYTES_MAX
    };
    let usage = report.usage;
    let time = wall_time_max(limits.wall_time_ms) + GRACE;
    let too_much = Duration::from_micros(usage.wall_us) > time
        || usage.discounted_us > usage.wall_us
        || Duration::from_micros(usage.cpu_us) > time * PROCESSORS_MAX
        || usage.memory_peak_kib > MEMORY_KIB_MAX;
    if too_much || over(&report.stdout) || over(&report.stderr) {
        return Err(CellError::breach(ProtocolBreach::OverLimit));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
