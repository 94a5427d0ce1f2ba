//! The executor: submissions in, outcomes out. The only user of Docker.
//!
//! `cells` makes and keeps containers, `run` judges what happened in them, `attempt` takes one
//! submission from the queue to its end in the ledger, `settler` finds what the queue has
//! forgotten, `service` puts them together.

pub mod attempt;
pub mod cells;
pub mod config;
mod intake;
mod lane_queues;
pub mod machine;
mod metrics;
pub mod outputs_room;
pub mod peers;
mod queue_watch;
pub mod run;
pub mod service;
mod settler;
#[cfg(test)]
mod testing;
mod waits;
