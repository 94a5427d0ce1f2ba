//! One output stream of a program: reads all of it, and keeps the beginning.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fchmod, fcntl_setfl};
use sandbox::protocol::StageOutput;

use crate::fault::{CellFault, During};

/// How much one system call reads: as much as a pipe holds, so that a program that writes much is
/// not slowed by many small reads.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks in one turn. Without a bound one busy stream would keep the other stream and the clock
/// waiting.
const CHUNKS_PER_TURN: usize = 4;

/// A stream that is being captured.
#[derive(Debug)]
pub(crate) struct Capture {
    pipe: Option<std::fs::File>,
    limit: usize,
    captured: StageOutput,
}

impl Capture {
    /// Captures up to `limit` bytes of what is written into a pipe.
    pub(crate) fn new(pipe: OwnedFd, limit: usize) -> Result<Self, CellFault> {
        fcntl_setfl(&pipe, OFlags::NONBLOCK).during("cannot prepare a pipe")?;
        // The pipe belongs to root, and programs must be able to open `/dev/stdout` and
        // `/dev/stderr`.
        fchmod(&pipe, Mode::from_raw_mode(0o666)).during("cannot open a pipe to the program")?;
        Ok(Self { pipe: Some(pipe.into()), limit, captured: StageOutput::default() })
    }

    /// Returns the descriptor to poll, unless the stream has ended.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Tells whether the program wrote more than is kept.
    pub(crate) fn is_over(&self) -> bool {
        self.captured.truncated
    }

    /// Returns how many bytes are in memory.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.captured.bytes.len()
    }

    /// Reads what is there, for one turn at most.
    pub(crate) fn read_some(&mut self, chunk: &mut [u8]) -> Result<(), CellFault> {
        for _ in 0..CHUNKS_PER_TURN {
            if self.is_over() || !self.read_chunk(chunk)? {
                break;
            }
        }
        Ok(())
    }

    /// Reads to the end. The caller has ended every writer, so the pipe has an end.
    pub(crate) fn drain(&mut self, chunk: &mut [u8]) -> Result<(), CellFault> {
        while self.read_chunk(chunk)? {}
        Ok(())
    }

    pub(crate) fn into_captured(self) -> StageOutput {
        self.captured
    }

    /// Reads one chunk, and tells whether there may be more.
    fn read_chunk(&mut self, chunk: &mut [u8]) -> Result<bool, CellFault> {
        let Some(pipe) = &mut self.pipe else { return Ok(false) };
        match pipe.read(chunk) {
            Ok(0) => {
                self.pipe = None;
                Ok(false)
            }
            Ok(count) => {
                self.keep(&chunk[..count]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error).during("cannot read the program's output"),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit - self.captured.bytes.len();
        self.captured.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        // What is not kept is still counted: the user is told how much the program wrote.
        self.captured.total_bytes += bytes.len() as u64;
        self.captured.truncated |= bytes.len() > room;
    }
}
