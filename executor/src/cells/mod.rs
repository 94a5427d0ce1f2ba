//! Cells: the containers that programs run in. What restricts them, how they are made, kept warm, spoken to and removed.
//! The only part of Runledger that knows Docker; keeps out submissions, events and verdicts.

pub mod cell;
mod demand;
pub mod engine;
pub mod lease;
pub mod maker;
pub mod pipes;
pub mod policy;
pub mod pool;
pub mod reaper;
mod refill;
pub mod slot;
