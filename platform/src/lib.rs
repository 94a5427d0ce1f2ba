//! What the services share and that is no rule of the ledger: configuration, telemetry, shutdown, callers, problems,
//! JSON bodies and the HTTP frame around every router. Knows no event, no store and no Docker.

pub mod auth;
pub mod clock;
pub mod config;
pub mod http;
pub mod ids;
pub mod json;
pub mod params;
pub mod problem;
pub mod shutdown;
pub mod telemetry;
