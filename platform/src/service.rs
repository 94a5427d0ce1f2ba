//! A service from its command line to its end: what is the same for every service.

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use clap::{Args as _, FromArgMatches as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::TcpListener;
use tracing::info;

use crate::config::{LogConfig, ServiceArgs};
use crate::http;
use crate::shutdown::{Shutdown, ShutdownError};
use crate::telemetry::{Metrics, TelemetryError, error_chain, init_logs};

/// Why a service did not start, or did not end well.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The signals or the address to listen on cannot be had.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Logs or metrics cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Tasks ended too early or too late.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
    /// A part of the service that only this service has.
    #[error("{what}")]
    Part {
        /// What does not work.
        what: &'static str,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ServiceError {
    /// Returns a function that makes the error of one part into the error of the service.
    pub fn part<E: Into<Box<dyn Error + Send + Sync>>>(
        what: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Part { what, source: source.into() }
    }
}

/// Names and describes a service on its command line.
#[derive(Clone, Copy, Debug)]
pub struct ServiceCommand {
    /// The name of the executable.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// The embedded configuration.
    pub defaults: &'static str,
}

impl ServiceCommand {
    /// Reads the command line and the configuration, and runs the service until it ends. An error
    /// goes to standard error, with its causes.
    pub fn main<C, F>(self, run: impl FnOnce(C) -> F) -> ExitCode
    where
        C: DeserializeOwned,
        F: Future<Output = Result<(), ServiceError>>,
    {
        match self.try_main(run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let line = format!("{}: {}", self.name, error_chain(error.as_ref()));
                // Standard error may be closed. The exit code still tells that the service failed.
                let _unheard = writeln!(std::io::stderr().lock(), "{line}");
                ExitCode::FAILURE
            }
        }
    }

    fn try_main<C, F>(self, run: impl FnOnce(C) -> F) -> Result<(), Box<dyn Error + Send + Sync>>
    where
        C: DeserializeOwned,
        F: Future<Output = Result<(), ServiceError>>,
    {
        let command = clap::Command::new(self.name).about(self.about);
        let command = ServiceArgs::augment_args(command.version(env!("CARGO_PKG_VERSION")));
        let args = ServiceArgs::from_arg_matches(&command.get_matches())?;
        let Some(config) = args.load(self.defaults)? else { return Ok(()) };
        Ok(tokio::runtime::Runtime::new()?.block_on(run(config))?)
    }
}

/// What a started service has: logs, metrics, its address, and the signals that stop it.
#[derive(Debug)]
pub struct ServiceRuntime {
    /// What takes requests.
    pub listener: TcpListener,
    /// The end of the service, and its tasks.
    pub shutdown: Shutdown,
    /// The metrics recorded so far.
    pub metrics: Metrics,
}

impl ServiceRuntime {
    /// Sets up logs, the address to listen on, signals and metrics. Call it once, first of all, in
    /// a runtime.
    pub async fn start(log: &LogConfig, listen: SocketAddr) -> Result<Self, ServiceError> {
        init_logs(log)?;
        raise_files_limit()?;
        // Before any work begins: a second copy of a service must not touch the stores that the
        // first one writes.
        let listener = http::bind(listen).await?;
        let shutdown = Shutdown::new();
        shutdown.on_signals()?;
        let metrics = Metrics::install(&shutdown)?;
        http::describe();
        info!(http.listen = %listen, "listening");
        Ok(Self { listener, shutdown, metrics })
    }

    /// Answers requests until the stop, and then waits for every task, at most for
    /// `finish_time_max`.
    pub async fn serve(
        self,
        router: Router,
        finish_time_max: Duration,
    ) -> Result<(), ServiceError> {
        let served = http::serve(router, self.listener, &self.shutdown).await;
        // Tasks end in order also when serving failed.
        let finished = self.shutdown.finish(finish_time_max).await;
        info!("stopped");
        served?;
        Ok(finished?)
    }
}

/// Lets the process open as many files as it may raise its limit to.
// Each client holds one, and the limit that a process begins with is usually 1024, for the sake of
// programs that use `select`.
fn raise_files_limit() -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_may_open_as_many_files_as_it_can_be_allowed() {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..limit }).unwrap();
        raise_files_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
