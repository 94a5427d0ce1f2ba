//! A Docker engine of a test's own, for tests that kill it. `cargo dev` knows how one is started,
//! and what a killed one leaves behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tools::Tools;

/// Makes `cargo dev` start an engine also where one answers.
const OWN_ENGINE: (&str, &str) = ("RUNLEDGER_DEV_OWN_ENGINE", "1");

/// The engine. Dropping it takes it down to the last mount.
#[derive(Debug)]
pub struct Engine {
    dev: PathBuf,
    state: PathBuf,
}

impl Engine {
    /// Starts an engine that has the image, with its files below `dir`.
    pub async fn start(tools: &Tools, dir: &Path) -> Result<Self> {
        let engine = Self { dev: tools.bin_dir.join("dev"), state: dir.join("engine") };
        engine.ask(&["images"]).await?;
        engine.ask(&["start", "docker"]).await?;
        Ok(engine)
    }

    /// Returns its address.
    pub fn host(&self) -> Result<String> {
        std::fs::read_to_string(self.state.join("engine")).context("read where the engine is")
    }

    /// Kills it with SIGKILL. Its containers are left to themselves.
    pub fn kill(&self) -> Result<()> {
        done(self.command(&["kill", "docker"]).output())
    }

    /// Starts it after a kill.
    pub async fn restart(&self) -> Result<()> {
        self.ask(&["start", "docker"]).await
    }

    async fn ask(&self, args: &[&str]) -> Result<()> {
        done(tokio::process::Command::from(self.command(args)).output().await)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.dev);
        command.arg("--state").arg(&self.state).args(args).env(OWN_ENGINE.0, OWN_ENGINE.1);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody can be told here; whether `down` leaves nothing is tested where `cargo dev` is.
        drop(self.command(&["down", "--wipe"]).output());
    }
}

fn done(output: std::io::Result<std::process::Output>) -> Result<()> {
    let output = output.context("run cargo dev")?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "cargo dev: {}", String::from_utf8_lossy(&said));
    Ok(())
}
