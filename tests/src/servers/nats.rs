//! nats-server with the project's own configuration file.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::workspace_root;
use crate::ports::free_address;
use crate::process::{Process, Spec, wait_until};
use crate::tools::Tools;

const READY_PATIENCE: Duration = Duration::from_mins(2);

/// A private nats-server.
#[derive(Debug)]
pub struct Nats {
    /// The process.
    pub process: Process,
    address: String,
    monitor: String,
}

impl Nats {
    /// Prepares a server with its data below `dir`.
    pub fn new(tools: &Tools, dir: &Path) -> Result<Self> {
        let (address, monitor) = (free_address()?, free_address()?);
        let store = dir.join("nats");
        std::fs::create_dir_all(&store)?;
        let conf = workspace_root().join("deploy/nats/nats.conf");
        let env = [
            ("NATS_LISTEN", address.clone()),
            ("NATS_MONITOR", monitor.clone()),
            // The server reads a variable's text as configuration, so a path has to be quoted.
            ("NATS_STORE_DIR", format!("\"{}\"", store.display())),
        ];
        let spec = Spec::new(&tools.nats_server, ["--config".into(), conf.into_os_string()])
            .env(env.map(|(name, value)| (name.to_owned(), value)));
        Ok(Self { process: Process::new("nats", spec, dir), address, monitor })
    }

    /// Returns the address for clients.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Returns the address that tells how the server syncs.
    pub fn monitor_url(&self) -> String {
        format!("http://{}", self.monitor)
    }

    /// Waits until JetStream answers.
    pub async fn ready(&mut self) -> Result<()> {
        let url = format!("{}/healthz", self.monitor_url());
        wait_until("nats-server is ready", READY_PATIENCE, async || {
            self.process.check()?;
            let status = reqwest::get(&url).await.context("ask /healthz")?.status();
            ensure!(status.is_success(), "/healthz answers {status}");
            Ok(())
        })
        .await
    }
}
