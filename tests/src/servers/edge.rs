//! nginx with the project's own template.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::workspace_root;
use crate::ports::free_address;
use crate::process::{Process, Spec, wait_until};
use crate::tools::Tools;

const READY_PATIENCE: Duration = Duration::from_mins(2);

/// The edge.
#[derive(Debug)]
pub struct Edge {
    /// The process.
    pub process: Process,
    address: String,
}

impl Edge {
    /// Prepares an edge in front of two services, with its files below `dir`.
    pub fn new(tools: &Tools, dir: &Path, command_api: &str, query_api: &str) -> Result<Self> {
        let address = free_address()?;
        let state = dir.join("nginx");
        std::fs::create_dir(&state)?;
        let template = workspace_root().join("deploy/nginx/nginx.conf.template");
        let template = std::fs::read_to_string(&template)
            .with_context(|| format!("read {}", template.display()))?;
        let values = [
            ("EDGE_LISTEN", address.clone()),
            ("EDGE_STATE", state.display().to_string()),
            ("EDGE_WEB", workspace_root().join("web/public").display().to_string()),
            ("COMMAND_API", command_api.to_owned()),
            ("QUERY_API", query_api.to_owned()),
        ];
        let fill = |text: String, (name, value): &(&str, String)| {
            text.replace(&format!("${{{name}}}"), value)
        };
        let conf = dir.join("nginx.conf");
        std::fs::write(&conf, values.iter().fold(template, fill))?;
        // One process without a master, so that nothing of it survives a kill.
        let globals = "daemon off; master_process off;";
        let args = [
            "-e".into(),
            "stderr".into(),
            "-c".into(),
            conf.into_os_string(),
            "-g".into(),
            globals.into(),
        ];
        let process = Process::new("nginx", Spec::new(&tools.nginx, args), dir);
        Ok(Self { process, address })
    }

    /// Returns the one origin of clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until it answers.
    pub async fn ready(&mut self) -> Result<()> {
        let url = format!("{}/edge/live", self.url());
        wait_until("nginx is ready", READY_PATIENCE, async || {
            self.process.check()?;
            let status = reqwest::get(&url).await.context("ask /edge/live")?.status();
            ensure!(status.is_success(), "/edge/live answers {status}");
            Ok(())
        })
        .await
    }
}
