//! The floor: the same program, started by us, without Runledger.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// Debian's interpreter: the image has the same package.
const INTERPRETER: &str = "/usr/bin/python3";

/// A program in a file.
pub(super) struct BareProgram {
    dir: TempDir,
}

impl BareProgram {
    /// Writes the program where it can be run.
    pub(super) fn new(source: &str) -> Result<Self> {
        if !Path::new(INTERPRETER).exists() {
            bail!("{INTERPRETER} is not there to compare with: apt-get install python3");
        }
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("main.py"), source)?;
        Ok(Self { dir })
    }

    /// Runs it once, and returns the time from before its start to after its end.
    pub(super) fn run(&self) -> Result<Duration> {
        let mut command = Command::new(INTERPRETER);
        // The program was written before, so that only start, run and end are timed.
        command.arg("main.py").current_dir(self.dir.path()).stdin(Stdio::null());
        let begun = Instant::now();
        let output = command.output().context("run the bare program")?;
        let took = begun.elapsed();
        if !output.status.success() {
            bail!("the bare program ended with {}", output.status);
        }
        Ok(took)
    }
}
