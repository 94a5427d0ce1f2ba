//! Events in, views out: the projections `results` (PostgreSQL) and `progress` (MongoDB), and the service that runs them.
//!
//! Folding is pure, and stands here; how a view is stored stands in the crate `views`. Nothing here writes to the ledger.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod batch;
pub mod config;
pub mod connections;
mod health;
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
