//! Cells: the containers that programs run in. What restricts them, how they are made, kept warm,
//! spoken to and removed. The only part of Runledger that knows Docker; keeps out submissions,
//! events and verdicts.

pub mod cell;
pub mod container_flags;
mod demand;
pub mod engine;
mod host_memory;
mod idle_processors;
pub mod lease;
pub mod maker;
pub mod pipes;
pub mod places;
pub mod pool;
pub mod reaper;
mod refiller;
mod remover;
pub mod slot;
pub mod source;
pub mod warm_cells;
