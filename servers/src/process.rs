//! Which process is meant. A process is known by pid, start time and boot, so that a pid that the
//! kernel has given to another process is never signalled.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitPidFlag, waitpid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

const POLL: Duration = Duration::from_millis(5);

/// One process, for as long as the machine runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: i32,
    /// Clock ticks between boot and start.
    started: u64,
    /// Which boot.
    boot: String,
}

impl ProcessIdentity {
    /// Returns the process that has this pid now; none when it has ended, a zombie included.
    pub fn of(pid: i32) -> Option<Self> {
        Self::read(pid).filter(|(state, _)| !matches!(state, 'Z' | 'X')).map(|(_, found)| found)
    }

    /// Returns the identity of a child that has not been waited for; it may have ended already.
    pub fn of_child(child: &Child) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let (_, identity) = Self::read(pid).ok_or(ErrorKind::NotFound)?;
        Ok(identity)
    }

    fn read(pid: i32) -> Option<(char, Self)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, started) = parse_stat(&stat)?;
        Some((state, Self { pid, started, boot: boot_id() }))
    }

    /// Tells whether exactly this process still runs. A zombie does not.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal, to this process and to no other. One that has ended needs none.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(handle) = self.handle()? else { return Ok(()) };
        match pidfd_send_signal(handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the process has ended. False when time ran out.
    pub fn wait_for_end(&self, patience: Duration) -> io::Result<bool> {
        let until = Instant::now() + patience;
        let Some(handle) = self.handle()? else { return Ok(true) };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            // A pidfd polls as readable once its process has ended. `waitpid` would serve for
            // children only, and most of these are children of a command that has returned.
            match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
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

    /// Takes the exit status of a child of ours that has ended and that nothing else waits for, so
    /// that no zombie stays.
    pub fn reap(&self) {
        let pid = nix::unistd::Pid::from_raw(self.pid);
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            // It is an error when it is not our child, which is the usual case and means nothing.
            Ok(_) | Err(_) => {}
        }
    }

    /// Waits until the pid of a process that has ended is free again. A parent that takes no notice
    /// of its child's end can hold it for ever, so it is not an error that time runs out.
    pub fn wait_until_reaped(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let is_there = || Self::read(self.pid).is_some_and(|(_, found)| found == *self);
        self.reap();
        while is_there() && Instant::now() < until {
            thread::sleep(POLL);
            self.reap();
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn long_lived() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    fn identity(child: &Child) -> ProcessIdentity {
        ProcessIdentity::of_child(child).unwrap()
    }

    #[test]
    fn a_stat_line_is_read_past_a_hostile_process_name() {
        let line = "7 (a) Z 1 (b)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 8 9";

        assert_eq!(parse_stat(line), Some(('S', 4711)));
    }

    #[test]
    fn a_killed_process_is_noticed_before_it_is_reaped() {
        let mut child = long_lived();
        let it = identity(&child);
        assert!(it.is_alive());

        it.signal(Signal::KILL).unwrap();

        assert!(it.wait_for_end(Duration::from_secs(10)).unwrap());
        assert!(!it.is_alive());
        assert!(fs::exists(format!("/proc/{}", it.pid)).unwrap());
        it.wait_until_reaped(Duration::ZERO);
        assert!(!fs::exists(format!("/proc/{}", it.pid)).unwrap());
        child.wait().unwrap_err();
    }

    #[test]
    fn a_pid_that_means_another_process_is_neither_alive_nor_signalled() {
        let mut child = long_lived();
        let real = identity(&child);
        let stale = ProcessIdentity { started: real.started + 1, ..real.clone() };

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
}
