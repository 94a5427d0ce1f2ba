//! Logs and metrics of a service: set up once at the start, then used through `tracing` and
//! `metrics`.

mod causes;
mod json_lines;
mod logs;
mod measures;

pub use self::causes::error_chain;
pub use self::logs::{TelemetryError, init_logs};
pub use self::measures::Metrics;
