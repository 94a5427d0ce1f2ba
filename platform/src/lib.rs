//! What the services share and that is not a rule of the ledger: start and end, configuration,
//! telemetry, callers, problems, JSON bodies and the HTTP frame around every router. Knows the
//! names of users and submissions, but no event, no store and no Docker.

pub mod auth;
pub mod clock;
pub mod config;
pub mod http;
pub mod ids;
pub mod json;
pub mod params;
pub mod problem;
pub mod service;
pub mod shutdown;
pub mod telemetry;
