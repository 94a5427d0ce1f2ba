//! Logs and metrics of a service: set up once at the start, then used through `tracing` and `metrics`.

mod logs;
mod measures;

pub use self::logs::{TelemetryError, init_logs};
pub use self::measures::{Metrics, describe};
