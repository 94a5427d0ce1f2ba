//! Our own services as processes: the release binaries, configured by the environment alone.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::ports::free_address;
use crate::process::{Process, Spec, wait_until};

/// How long a service may take to be ready; an executor makes its first cells meanwhile.
const READY_PATIENCE: Duration = Duration::from_mins(5);

/// The services of a whole Runledger but executors, and the command that serves.
pub const SINGLES: [(&str, &[&str]); 3] =
    [("command-api", &[]), ("query-api", &[]), ("projector", &["serve"])];

/// Configuration as `SECTION__KEY` and value.
pub type Settings = Vec<(String, String)>;

/// One service.
#[derive(Debug)]
pub struct Service {
    /// The process.
    pub process: Process,
    address: String,
}

impl Service {
    /// Prepares the service `name`, which runs `program`.
    pub fn new(
        name: &str,
        program: &Path,
        args: &[&str],
        settings: &Settings,
        dir: &Path,
    ) -> Result<Self> {
        let address = free_address()?;
        let listen = ("HTTP__LISTEN".to_owned(), address.clone());
        let spec = Spec::new(program, args.iter().map(OsString::from));
        let spec = spec.env(environment(settings.iter().cloned().chain([listen])));
        Ok(Self { process: Process::new(name, spec, dir), address })
    }

    /// Returns its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns its own address, behind the edge.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until everything that it needs is there.
    pub async fn ready(&mut self) -> Result<()> {
        let url = format!("{}/health/ready", self.url());
        let what = format!("{} is ready", self.process.name());
        wait_until(&what, READY_PATIENCE, async || {
            self.process.check()?;
            let answer = reqwest::get(&url).await.context("ask /health/ready")?;
            let status = answer.status();
            ensure!(
                status.is_success(),
                "/health/ready answers {status}: {}",
                answer.text().await?
            );
            Ok(())
        })
        .await
    }
}

/// Returns configuration as variables.
pub fn environment(
    settings: impl IntoIterator<Item = (String, String)>,
) -> impl Iterator<Item = (String, String)> {
    settings.into_iter().map(|(key, value)| (format!("RUNLEDGER__{key}"), value))
}
