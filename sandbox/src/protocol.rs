//! The protocol between an executor and `cell-init`, over the cell's standard input and output. The
//! cell first sends [`Response::Ready`] unasked, then exactly one [`Response`] to each [`Request`]:
//! one [`Request::Prepare`], then any number of [`Request::Run`]. Pure: bytes in, messages out, for
//! blocking and async callers alike.

mod bounded;
mod frame;
mod message;

pub use frame::{Decoder, FramedMessage, ProtocolError, encode};
pub use message::{
    CellFile, ExceededLimit, Prepare, Prepared, Ready, Request, Response, Stage, StageExit,
    StageLimits, StageOutput, StageReport, StageUsage,
};

/// Version of the protocol. Every frame's first byte has it, so that no two versions ever misread
/// each other: executor and image of different releases fail at the first byte that they exchange.
pub const PROTOCOL_VERSION: u8 = 3;

/// The longest payload of one frame, in bytes, in either direction.
pub const PAYLOAD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What is kept of one output stream at most, in bytes, whatever limit a stage has.
// A report has two streams, and has to fit into one frame.
pub const OUTPUT_BYTES_MAX: usize = 15 * 1024 * 1024;

/// However long others had the processors, a stage ends at so many times its wall limit.
pub const WALL_STRETCH_MAX: u32 = 4;

/// Files in one [`Prepare`] at most.
pub const FILES_MAX: usize = 1024;

/// Elements of one command line at most.
pub const ARGUMENTS_MAX: usize = 4096;
