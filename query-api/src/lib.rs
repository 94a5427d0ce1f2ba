//! Views out: answers about submissions and progress. The service only reads. If the view of a
//! submission is behind or away, the service folds the submission from the ledger.

pub mod app;
mod body;
mod caching;
pub mod config;
mod cursor;
pub mod error;
pub mod freshness;
mod health;
pub mod long_poll;
mod metrics;
mod output_ages;
pub mod routes;
pub mod service;
