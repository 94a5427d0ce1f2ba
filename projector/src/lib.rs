//! Events in, views out: the projections `results` (PostgreSQL) and `progress` (MongoDB), and the
//! service that runs them. Beside them the sweep of objects that no event names.
//!
//! Folding is pure, and is done here; the crate `views` stores the result. Nothing here writes to
//! the ledger.
// A new event must not compile before each projection says what the event means to it.
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
pub mod sweep;
