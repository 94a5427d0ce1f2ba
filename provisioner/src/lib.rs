//! Makes what the services find on NATS: the streams, the buckets and the queues' durables. The
//! only program with the right to do so.
//!
//! Reads and writes no event, but for where the ledger ends.

pub mod config;
mod metrics;
pub mod service;
mod streams_and_queues;
