//! One of our own services: configured by its environment alone, ready when it says so.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rustix::process::Signal;

use crate::{Program, Server, http};

/// How long a service may take to finish what it holds. The executor's own bound is below it.
const STOP_PATIENCE: Duration = Duration::from_secs(45);

/// A service and the loopback address that it listens on.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct RunledgerService {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Variables beside the one that tells the service where to listen.
    pub env: Vec<(String, OsString)>,
    pub address: String,
}

impl RunledgerService {
    /// Returns the origin of its HTTP API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Server for RunledgerService {
    fn prepare(&self) -> Result<Program> {
        let path = self.program.display();
        ensure!(self.program.is_file(), "{path} is not built; `cargo dev up` builds it");
        let mut program = Program::new(&self.program)
            .args(&self.args)
            .env("RUNLEDGER__HTTP__LISTEN", &self.address)
            .stop_by(Signal::TERM, STOP_PATIENCE);
        program.env.extend(self.env.iter().cloned());
        Ok(program)
    }

    fn check(&self) -> Result<()> {
        // Ready and not merely live: a service is live before its stores answer.
        match http::get(&self.address, "/health/ready")? {
            (200, _) => Ok(()),
            (status, body) => bail!("/health/ready answers {status}: {}", body.trim()),
        }
    }
}
