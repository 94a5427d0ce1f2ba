//! What to run, and how it is started.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::files::RunAs;
use crate::log;

/// The signal that ends a program in order, and how long that may take.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Stop {
    pub signal: Signal,
    pub patience: Duration,
}

/// How long a started program may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It has a session of its own and outlives us.
    Detached,
    /// The kernel kills it when the thread that started it ends, however that ends.
    Thread,
}

/// A program that runs for long: a server, or one of our services.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Program {
    pub path: PathBuf,
    pub args: Vec<OsString>,
    /// Its variables, beside those that every program gets.
    pub env: Vec<(String, OsString)>,
    /// Files whose change makes a restart necessary.
    pub files: Vec<PathBuf>,
    /// Another user than ours.
    pub run_as: Option<RunAs>,
    /// How it is ended.
    pub stop: Stop,
}

impl Program {
    /// A program without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            files: Vec::new(),
            run_as: None,
            stop: Stop { signal: Signal::TERM, patience: Duration::from_secs(15) },
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Names a configuration file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Says how it is ended.
    #[must_use]
    pub fn stop_by(self, signal: Signal, patience: Duration) -> Self {
        Self { stop: Stop { signal, patience }, ..self }
    }

    /// Starts it in a group of its own, without input, with its output in `log`. Of our own
    /// environment it sees only `passed_on`.
    pub fn spawn<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &self,
        lifetime: Lifetime,
        log: &Path,
        passed_on: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Child> {
        let out = log::open(log)?;
        let mut command = wrapper(lifetime);
        // From the root directory, so that a server does not keep the caller's directory busy, and
        // so that another user need not be able to enter it.
        command.arg(&self.path).args(&self.args).current_dir("/");
        command.env_clear().envs(passed_on).envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        if let Some(user) = self.run_as {
            command.uid(user.uid).gid(user.gid);
        }
        command.spawn().with_context(|| format!("start {}", self.path.display()))
    }
}

/// A command that replaces itself by the program, so that the pid stays.
fn wrapper(lifetime: Lifetime) -> Command {
    match lifetime {
        // A terminal that closes ends its session, but not this one. No group is made before: a
        // leader of a group cannot begin a session, so `setsid` would fork, and the pid would be
        // another.
        Lifetime::Detached => Command::new("setsid"),
        Lifetime::Thread => {
            // A program sets the signal, because `pre_exec`, which could, is unsafe code.
            let mut command = Command::new("setpriv");
            // The group of its own lets a signal reach its children, and keeps the terminal's
            // Ctrl-C away.
            command.args(["--pdeathsig", "KILL", "--"]).process_group(0);
            command
        }
    }
}
