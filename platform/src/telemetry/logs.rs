//! Log lines on standard output, as JSON or text, and a panic hook that logs instead of printing.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use thiserror::Error;
use tracing::error;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::util::TryInitError;

use super::json_lines::JsonLines;
use crate::config::{LogConfig, LogFormat};

/// Telemetry could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// Another part of this process has set up logs.
    #[error("logs are set up already")]
    Logs(#[from] TryInitError),
    /// Another part of this process records metrics.
    #[error("metrics cannot be recorded")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Sets up logging for the whole process. Call it once, first of all.
pub fn init_logs(config: &LogConfig) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let lines = tracing_subscriber::fmt().with_env_filter(config.filter.to_filter());
    match config.format {
        LogFormat::Json => {
            lines.fmt_fields(JsonFields::new()).event_format(JsonLines).finish().try_init()?;
        }
        // Colours would be noise in a file.
        LogFormat::Text => lines.with_ansi(false).finish().try_init()?,
    }
    // The default hook prints lines that are not JSON, which a log collector cannot read.
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    error!(
        panic.message = info.payload_as_str().unwrap_or("a panic without text"),
        panic.location = info.location().map(ToString::to_string),
        panic.backtrace = backtrace,
        "panicked"
    );
}
