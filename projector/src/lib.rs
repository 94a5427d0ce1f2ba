//! Events in, views out: the projections `results` (PostgreSQL) and `progress` (MongoDB), and the service that runs them.
//!
//! A projection is a pure fold; its store makes the fold's states durable together with the place in the ledger that
//! they belong to. Nothing here writes to the ledger.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod batch;
pub mod config;
mod last_batch;
mod metrics;
pub mod progress;
pub mod progress_line;
pub mod projection;
pub mod reader;
pub mod rebuild;
pub mod results;
pub mod runner;
pub mod serve;
pub mod status;
