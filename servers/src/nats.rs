//! nats-server: the ledger's home.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::{Program, Server, files, http};

/// One nats-server.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Nats {
    pub program: PathBuf,
    /// A configuration that takes the addresses and the directory from variables, as the file in
    /// `deploy/nats` does.
    pub config: PathBuf,
    /// A name other than the configuration's.
    pub name: Option<String>,
    pub address: String,
    pub monitor_address: String,
    pub store: PathBuf,
}

impl Nats {
    /// Returns the address for clients.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Returns the address that tells how the server is.
    pub fn monitor_url(&self) -> String {
        format!("http://{}", self.monitor_address)
    }
}

impl Server for Nats {
    fn prepare(&self) -> Result<Program> {
        files::make_private(&self.store)?;
        let name = self.name.iter().flat_map(|name| ["--name", name]);
        Ok(Program::new(&self.program)
            .args(["--config".as_ref(), self.config.as_os_str()])
            .args(name)
            .file(&self.config)
            .env("NATS_LISTEN", &self.address)
            .env("NATS_MONITOR", &self.monitor_address)
            // The server reads a variable's text as configuration, so a path has to be quoted.
            .env("NATS_STORE_DIR", format!("\"{}\"", self.store.display()))
            .stop_by(Signal::TERM, Duration::from_secs(20)))
    }

    fn check(&self) -> Result<()> {
        // Without its options, the question includes whether streams and consumers are recovered. A
        // test that starts before would find them absent.
        match http::get(&self.monitor_address, "/healthz")? {
            (200, _) => Ok(()),
            (status, body) => bail!("/healthz answers {status}: {}", body.trim()),
        }
    }
}
