//! HTTP in, events out: the only writer on behalf of clients. Runs nothing and serves no views.

pub mod admission;
pub mod announcer;
pub mod app;
pub mod config;
pub mod error;
pub mod fair_shares;
mod feed;
pub mod limited_store;
mod metrics;
pub mod owed_room;
pub mod routes;
pub mod service;
pub mod stored_bytes;
pub mod submission;
