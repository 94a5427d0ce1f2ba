//! Views out: answers about submissions and progress. Reads only, and folds the ledger where a view is behind or away.

pub mod app;
mod body;
mod caching;
pub mod changes;
pub mod config;
mod current;
mod cursor;
pub mod error;
mod health;
pub mod metrics;
pub mod routes;
mod seen;
pub mod service;
