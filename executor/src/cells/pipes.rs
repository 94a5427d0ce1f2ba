//! The two ends of a cell's pipe, whatever carries them. Keeps out the protocol, which stands
//! above.

use std::fmt;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::io::AsyncWrite;

/// A piece of a cell's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// A part of a message of the protocol.
    Stdout(Bytes),
    /// A part of what the cell's own program tells an operator.
    Stderr(Bytes),
}

/// A cell's standard input and its outputs. When they are dropped, the cell ends.
pub struct Pipes {
    /// What is written here, the cell reads.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What the cell writes.
    pub output: BoxStream<'static, io::Result<Chunk>>,
}

impl fmt::Debug for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipes").finish_non_exhaustive()
    }
}
