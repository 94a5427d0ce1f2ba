//! Starts and ends the long-lived parts. A part gets a session of its own, no input, and a log
//! file, so that it holds nothing of the caller's and survives it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use sha2::{Digest, Sha256};

use crate::command;
use crate::paths::{self, Layout};
use crate::state::{Identity, Record};

/// After SIGKILL a process ends as soon as the kernel lets it.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// A log of an earlier run is kept as `.log.1` past this size.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A user and group to run as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunAs {
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
}

/// How a part is run and ended.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// Variables beside those that are passed on.
    pub(crate) env: Vec<(String, OsString)>,
    /// Files whose change makes a restart necessary.
    pub(crate) files: Vec<PathBuf>,
    /// Another user than ours.
    pub(crate) run_as: Option<RunAs>,
}

impl Spec {
    /// A program without arguments.
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            files: Vec::new(),
            run_as: None,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Names a configuration file.
    pub(crate) fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Changes when the part has to be started anew to be what this says.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        add(version_of(&self.program).as_bytes());
        self.args.iter().for_each(|arg| add(arg.as_encoded_bytes()));
        for (name, value) in &self.env {
            add(name.as_bytes());
            add(value.as_encoded_bytes());
        }
        for file in &self.files {
            add(&fs::read(file).unwrap_or_default());
        }
        hex::encode(hash.finalize())
    }
}

/// A program's file, told apart from an earlier build in the same place.
fn version_of(program: &Path) -> String {
    let meta = fs::metadata(program).map(|meta| (meta.ino(), meta.mtime_nsec(), meta.len()));
    format!("{} {meta:?}", program.display())
}

/// Starts a part and remembers it.
pub(crate) fn start(layout: &Layout, name: &str, spec: &Spec) -> Result<Record> {
    let (out, err) = open_log(&layout.log(name))?;
    // `setsid` replaces itself by the program, so the pid stays.
    let mut command = command::clean("setsid");
    command.arg(&spec.program).args(&spec.args).envs(spec.env.iter().cloned());
    command.current_dir("/").stdin(Stdio::null()).stdout(out).stderr(err);
    if let Some(user) = spec.run_as {
        command.uid(user.uid).gid(user.gid);
    }
    let pid = spawn(&mut command).with_context(|| format!("start {}", spec.program.display()))?;
    let Some(identity) = Identity::of(pid) else { bail!("it ended at once") };
    let record = Record { identity, fingerprint: spec.fingerprint() };
    record.save(layout, name)?;
    Ok(record)
}

/// The child is not kept: it is looked after by its recorded identity, which also reaps it.
fn spawn(command: &mut Command) -> Result<i32> {
    Ok(i32::try_from(command.spawn()?.id())?)
}

fn open_log(path: &Path) -> Result<(File, File)> {
    let dir = path.parent().context("log directory")?;
    paths::make_public(dir)?;
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1")).context("turn the log over")?;
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))?;
    let copy = file.try_clone().context("share the log")?;
    Ok((file, copy))
}

/// Ends a part: asks, waits, then kills. Says whether it had to be killed; none when it did not run.
pub(crate) fn stop(layout: &Layout, name: &str, how: (Signal, Duration)) -> Result<Option<End>> {
    let Some(record) = Record::alive(layout, name)? else {
        Record::remove(layout, name)?;
        return Ok(None);
    };
    let end = end_process(&record.identity, how).with_context(|| format!("stop {name}"))?;
    Record::remove(layout, name)?;
    Ok(Some(end))
}

/// How a part came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended when asked.
    Orderly,
    /// It had to be killed.
    Killed,
}

fn end_process(identity: &Identity, (signal, patience): (Signal, Duration)) -> Result<End> {
    identity.signal(signal)?;
    if identity.wait_for_end(patience)? {
        return Ok(End::Orderly);
    }
    kill(identity)?;
    Ok(End::Killed)
}

/// Kills a process at once and waits until it is gone.
pub(crate) fn kill(identity: &Identity) -> Result<()> {
    identity.signal(Signal::KILL)?;
    if !identity.wait_for_end(KILL_PATIENCE)? {
        bail!("process {} does not end, even when killed", identity.pid);
    }
    Ok(())
}

/// Kills a part with its children, which would go on serving without it, as nginx's workers do. Each part leads a group of its own.
pub(crate) fn kill_group(identity: &Identity) -> Result<()> {
    let Some(leader) = Pid::from_raw(identity.pid).filter(|_| identity.is_alive()) else {
        return Ok(());
    };
    kill_process_group(leader, Signal::KILL).context("kill a group of processes")?;
    kill(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        paths::make_public(&layout.run()).unwrap();
        (dir, layout)
    }

    fn wait_for_log(layout: &Layout, name: &str, text: &str) {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string(layout.log(name)).unwrap().contains(text) {
            assert!(std::time::Instant::now() < until, "the log never said {text}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_part_runs_in_a_session_of_its_own_until_it_is_stopped() {
        let (_dir, layout) = layout();
        let spec = Spec::new("/bin/sh").args(["-c", "echo up; exec sleep 600"]);

        let record = start(&layout, "part", &spec).unwrap();
        wait_for_log(&layout, "part", "up");
        let stat = fs::read_to_string(format!("/proc/{}/stat", record.identity.pid)).unwrap();
        let end = stop(&layout, "part", (Signal::TERM, Duration::from_secs(10))).unwrap();

        let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().to_owned();
        assert_eq!(session, record.identity.pid.to_string());
        assert_eq!(end, Some(End::Orderly));
        assert!(!record.identity.is_alive());
        assert_eq!(stop(&layout, "part", (Signal::TERM, Duration::ZERO)).unwrap(), None);
    }

    #[test]
    fn a_part_that_ignores_the_request_is_killed() {
        let (_dir, layout) = layout();
        let script = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";
        start(&layout, "part", &Spec::new("/bin/sh").args(["-c", script])).unwrap();
        wait_for_log(&layout, "part", "deaf");

        let end = stop(&layout, "part", (Signal::TERM, Duration::from_millis(100))).unwrap();

        assert_eq!(end, Some(End::Killed));
    }

    #[test]
    fn a_part_does_not_see_the_callers_variables() {
        let (_dir, layout) = layout();
        let spec = Spec::new("/usr/bin/env").env("RUNLEDGER__X", "1");

        drop(start(&layout, "part", &spec));
        wait_for_log(&layout, "part", "RUNLEDGER__X=1");

        let log = fs::read_to_string(layout.log("part")).unwrap();
        assert!(!log.contains("CARGO"), "{log}");
    }

    #[test]
    fn a_fingerprint_follows_arguments_environment_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("conf");
        fs::write(&conf, "a").unwrap();
        let spec = Spec::new("/bin/sh").args(["x"]).env("K", "v").file(&conf);
        let first = spec.fingerprint();

        assert_eq!(first, spec.fingerprint());
        assert_ne!(first, spec.clone().args(["y"]).fingerprint());
        assert_ne!(first, spec.clone().env("K2", "v").fingerprint());
        fs::write(&conf, "b").unwrap();
        assert_ne!(first, spec.fingerprint());
    }
}
