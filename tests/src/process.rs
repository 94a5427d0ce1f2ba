//! One process of a world: started in a process group of its own, with its log in a file, ended by signal. It dies with
//! the test that started it, however that ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How often a condition is looked at while it is waited for.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the kernel may take to end a killed process.
const END_PATIENCE: Duration = Duration::from_mins(1);
/// How much of a log is shown when something is wrong.
const LOG_TAIL_BYTES: usize = 4 * 1024;

/// What to run.
#[derive(Clone, Debug)]
pub struct Spec {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    user: Option<&'static str>,
    stop: Signal,
}

impl Spec {
    /// A program with its arguments, ended by SIGTERM.
    pub fn new<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { program: program.into(), args, env: Vec::new(), user: None, stop: Signal::TERM }
    }

    /// Adds variables.
    #[must_use]
    pub fn env<V: Into<OsString>>(mut self, env: impl IntoIterator<Item = (String, V)>) -> Self {
        self.env.extend(env.into_iter().map(|(name, value)| (name, value.into())));
        self
    }

    /// Runs as another user, where there is one to be.
    #[must_use]
    pub fn user(self, user: Option<&'static str>) -> Self {
        Self { user, ..self }
    }

    /// Ends by another signal.
    #[must_use]
    pub fn stop_by(self, stop: Signal) -> Self {
        Self { stop, ..self }
    }

    /// Returns the command, which inherits nothing of the test's environment but what it needs to find programs.
    pub fn command(&self) -> Command {
        // `setpriv` replaces itself by the program, so the pid stays.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = self.user {
            command.args(["--reuid", user, "--regid", user, "--init-groups"]);
        }
        command.arg("--").arg(&self.program).args(&self.args);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("RUST_BACKTRACE", "1");
        command.envs(self.env.iter().cloned()).current_dir("/").process_group(0);
        command
    }
}

/// A process that can be ended and started again.
#[derive(Debug)]
pub struct Process {
    name: String,
    spec: Spec,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Prepares a process; its log is `<dir>/<name>.log`.
    pub fn new(name: impl Into<String>, spec: Spec, dir: &Path) -> Self {
        let name = name.into();
        Self { log: dir.join(format!("{name}.log")), name, spec, child: None }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it; it must not run.
    pub fn start(&mut self) -> Result<()> {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let out = self.open_log()?;
        let mut command = self.spec.command();
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        let child = command.spawn().with_context(|| format!("start {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    fn open_log(&self) -> Result<File> {
        let open = OpenOptions::new().create(true).append(true).open(&self.log);
        open.with_context(|| format!("open {}", self.log.display()))
    }

    /// Tells whether it was started, and has been neither killed nor stopped since.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Fails if it has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { bail!("{} does not run", self.name) };
        match child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself, {status}:\n{}", self.name, self.log_tail()),
        }
    }

    /// Kills it without warning, with all its children, and returns when none of them is left.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.name))?;
        let children = children_of(child.id())?;
        kill_group(&child)?;
        let status = child.wait()?;
        children.into_iter().try_for_each(end)?;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            bail!("{} had ended before it was killed, {status}:\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal(self.spec.stop)?;
        let deadline = Instant::now() + patience;
        let child = self.child.as_mut().context("it runs")?;
        loop {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} still runs {patience:?} after it was asked to end:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sends a signal to it and its children.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().with_context(|| format!("{} does not run", self.name))?;
        kill_process_group(Pid::from_child(child), signal)
            .with_context(|| format!("signal {}", self.name))
    }

    /// Returns the end of its log.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let start = log.len().saturating_sub(LOG_TAIL_BYTES);
        String::from_utf8_lossy(log.get(start..).unwrap_or_default()).into_owned()
    }

    /// Returns everything that it has logged.
    pub fn log(&self) -> Result<String> {
        let bytes =
            std::fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A stopped process is killed as well; one that has ended already is only reaped.
            let children = children_of(child.id()).unwrap_or_default();
            match kill_group(&child) {
                Ok(()) | Err(_) => drop(child.wait()),
            }
            for child in children {
                drop(end(child));
            }
        }
    }
}

fn kill_group(child: &Child) -> Result<()> {
    kill_process_group(Pid::from_child(child), Signal::KILL).context("kill a process group")
}

/// Returns the children of a process. Those of PostgreSQL leave its group, and hold its memory until they end.
fn children_of(parent: u32) -> Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let pid =
            entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        // The name in brackets may hold anything; the state and the parent follow it.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let is_child = fields.nth(1).and_then(|field| field.parse().ok()) == Some(parent);
        children.extend(pid.filter(|_| is_child));
    }
    Ok(children)
}

/// Kills a process that is nobody's child any more, and waits until it is gone.
fn end(pid: Pid) -> Result<()> {
    let deadline = Instant::now() + END_PATIENCE;
    loop {
        match kill_process(pid, Signal::KILL) {
            Ok(()) => {}
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("kill process {pid}")),
        }
        if Instant::now() >= deadline {
            bail!("process {pid} is still there {END_PATIENCE:?} after SIGKILL");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until `probe` says yes, or fails with what it says last.
pub async fn wait_until<F, T>(what: &str, patience: Duration, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<T>,
{
    let deadline = Instant::now() + patience;
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("{what}: not within {patience:?}")));
            }
            Err(_not_yet) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
