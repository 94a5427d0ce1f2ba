//! Which processes are ours. A process is known by pid, start time and boot, so that a pid that
//! the kernel has given to somebody else is never signalled.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::wait::{WaitPidFlag, waitpid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::paths::{self, Layout};

/// One process, for as long as the machine runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Process id.
    pub(crate) pid: i32,
    /// Clock ticks between boot and start.
    started: u64,
    /// Which boot.
    boot: String,
}

impl Identity {
    /// The process that has this pid now; none when it has ended, a zombie included.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, started) = parse_stat(&stat)?;
        if matches!(state, 'Z' | 'X') {
            return None;
        }
        Some(Self { pid, started, boot: boot_id() })
    }

    /// Whether exactly this process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.reap();
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal, to this process and to no other.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(handle) = self.handle()? else { return Ok(()) };
        match pidfd_send_signal(handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the process has ended. False when time ran out.
    pub(crate) fn wait_for_end(&self, patience: Duration) -> io::Result<bool> {
        let until = Instant::now() + patience;
        let Some(handle) = self.handle()? else { return Ok(true) };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => return Ok(false),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.reap();
        Ok(true)
    }

    /// A handle that stays with the process even when its pid is used again.
    fn handle(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Checked after opening: from here on the handle cannot mean another process.
        Ok(self.is_alive().then_some(handle))
    }

    /// Takes the exit status when the process is our own child, so that no zombie stays.
    fn reap(&self) {
        let pid = nix::unistd::Pid::from_raw(self.pid);
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            // It is an error when it is not our child, which is the usual case and means nothing.
            Ok(_) | Err(_) => {}
        }
    }
}

/// State letter and start time out of `/proc/<pid>/stat`, whose second field may hold anything.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // Field 22 of the line is the start time; the state is field 3.
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// What is remembered about a started part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The process.
    pub(crate) identity: Identity,
    /// What it was started from: program, arguments, environment, files.
    pub(crate) fingerprint: String,
}

impl Record {
    /// The record of a part, when it was ever started.
    pub(crate) fn load(layout: &Layout, name: &str) -> Result<Option<Self>> {
        let path = file(layout, name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes)
                    .with_context(|| format!("read {}", path.display()))?,
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// The record of a part that runs.
    pub(crate) fn alive(layout: &Layout, name: &str) -> Result<Option<Self>> {
        Ok(Self::load(layout, name)?.filter(|record| record.identity.is_alive()))
    }

    /// Writes the record down.
    pub(crate) fn save(&self, layout: &Layout, name: &str) -> Result<()> {
        paths::write_whole(&file(layout, name), &serde_json::to_vec(self)?, 0o644)
    }

    /// Forgets the part.
    pub(crate) fn remove(layout: &Layout, name: &str) -> Result<()> {
        match fs::remove_file(file(layout, name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn file(layout: &Layout, name: &str) -> PathBuf {
    layout.run().join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn long_lived() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    fn identity(child: &Child) -> Identity {
        Identity::of(i32::try_from(child.id()).unwrap()).unwrap()
    }

    #[test]
    fn a_stat_line_is_read_past_a_hostile_process_name() {
        let line = "7 (a) Z 1 (b)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 8 9";

        assert_eq!(parse_stat(line), Some(('S', 4711)));
    }

    #[test]
    fn a_killed_process_is_noticed_and_reaped() {
        let mut child = long_lived();
        let it = identity(&child);
        assert!(it.is_alive());

        it.signal(Signal::KILL).unwrap();

        assert!(it.wait_for_end(Duration::from_secs(10)).unwrap());
        assert!(!it.is_alive());
        assert!(!fs::exists(format!("/proc/{}", it.pid)).unwrap());
        child.wait().unwrap_err();
    }

    #[test]
    fn a_pid_that_means_another_process_is_neither_alive_nor_signalled() {
        let mut child = long_lived();
        let real = identity(&child);
        let stale = Identity { started: real.started + 1, ..real.clone() };

        stale.signal(Signal::KILL).unwrap();

        assert!(!stale.is_alive());
        assert!(stale.wait_for_end(Duration::from_secs(10)).unwrap());
        assert!(real.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn waiting_for_a_process_that_stays_ends_in_time() {
        let mut child = long_lived();

        let ended = identity(&child).wait_for_end(Duration::from_millis(20)).unwrap();

        assert!(!ended);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_record_survives_a_round_trip_and_can_be_forgotten_twice() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        paths::make_public(&layout.run()).unwrap();
        let identity = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let record = Record { identity, fingerprint: "f".into() };

        record.save(&layout, "nats").unwrap();
        let alive = Record::alive(&layout, "nats").unwrap().unwrap();
        Record::remove(&layout, "nats").unwrap();
        Record::remove(&layout, "nats").unwrap();

        assert_eq!(alive.identity, record.identity);
        assert!(Record::load(&layout, "nats").unwrap().is_none());
    }
}
