//! One process of a test: started with its log in a file, and ended by signal. It dies with the
//! thread that started it.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::kill::kill_with_descendants;
use crate::log;
use crate::process::ProcessIdentity;
use crate::program::{Lifetime, Program};

/// All that a process sees of the environment. A test's own variables configure nothing.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("RUST_BACKTRACE", "1")];

/// A process that can be ended and started again.
#[derive(Debug)]
pub struct TiedProcess {
    name: String,
    program: Program,
    log: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    identity: ProcessIdentity,
}

impl TiedProcess {
    /// Prepares a process; its log is `<dir>/<name>.log`.
    pub fn new(name: &str, program: Program, dir: &Path) -> Self {
        let log = dir.join(format!("{name}.log"));
        Self { name: name.to_owned(), program, log, running: None }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it; it must not run.
    pub fn start(&mut self) -> Result<()> {
        assert!(self.running.is_none(), "{} runs already", self.name);
        let child = self.program.spawn(Lifetime::Thread, &self.log, ENVIRONMENT)?;
        let identity = ProcessIdentity::of_child(&child)?;
        self.running = Some(Running { child, identity });
        Ok(())
    }

    /// Tells whether it was started, and has been neither killed nor stopped since.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Returns which process it is.
    pub fn identity(&self) -> Result<&ProcessIdentity> {
        let running = self.running.as_ref();
        Ok(&running.with_context(|| format!("{} does not run", self.name))?.identity)
    }

    /// Kills it without warning, with all its descendants, and returns when none of them is left.
    pub fn kill(&mut self) -> Result<()> {
        let running = self.running.take();
        let mut running = running.with_context(|| format!("{} does not run", self.name))?;
        kill_with_descendants(&running.identity)?;
        let status = running.child.wait()?;
        // A server that had ended by itself would let the test of a crash pass without a crash.
        if status.signal() != Some(Signal::KILL.as_raw()) {
            bail!("{}", self.described(&format!("had ended before it was killed, {status}")));
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal(self.program.stop.signal)?;
        let identity = self.identity()?.clone();
        let wait = move || identity.wait_for_end(patience);
        let ended = tokio::task::spawn_blocking(wait).await.context("wait for an end")??;
        let running = self.running.take();
        match running {
            Some(mut running) if ended => Ok(running.child.wait()?),
            running => {
                self.running = running;
                let what = format!("still runs {patience:?} after it was asked to end");
                bail!("{}", self.described(&what))
            }
        }
    }

    /// Sends a signal to it and its children.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let group = Pid::from_raw(self.identity()?.pid).context("a pid is above 0")?;
        kill_process_group(group, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Returns everything that it has logged.
    pub fn log(&self) -> Result<String> {
        let bytes =
            std::fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns a sentence about it, and the end of its log.
    pub fn described(&self, what: &str) -> String {
        let tail = log::tail(&self.log);
        format!("{} {what}; the end of its log:\n{tail}", self.name)
    }
}

impl Drop for TiedProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let told = self.described("ran while the test failed");
            // With standard error gone there is no reader.
            drop(writeln!(std::io::stderr(), "{told}"));
        }
        if let Some(mut running) = self.running.take() {
            // What resists is killed by the kernel when this thread ends.
            drop(kill_with_descendants(&running.identity));
            drop(running.child.wait());
        }
    }
}
