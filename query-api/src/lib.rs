//! Views out: answers about submissions and progress. Only reads, and folds a submission from the ledger where its view is
//! behind or away.

pub mod app;
mod body;
mod caching;
pub mod config;
mod cursor;
pub mod error;
mod freshness;
mod health;
pub mod long_poll;
mod metrics;
pub mod routes;
pub mod service;
