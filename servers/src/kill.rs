//! Ends a process with everything that it has started.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::process::ProcessIdentity;
use crate::program::Stop;

/// After SIGKILL a process ends as soon as the kernel lets it.
const KILL_PATIENCE: Duration = Duration::from_mins(1);

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// It ended when asked.
    Orderly,
    /// It had to be killed.
    Killed,
}

/// Asks a process to end, waits, and then kills it with its descendants.
pub fn stop(process: &ProcessIdentity, stop: Stop) -> Result<StopOutcome> {
    process.signal(stop.signal)?;
    if process.wait_for_end(stop.patience)? {
        return Ok(StopOutcome::Orderly);
    }
    kill_with_descendants(process)?;
    Ok(StopOutcome::Killed)
}

/// Kills a single process and returns when it has ended.
pub fn kill(process: &ProcessIdentity) -> Result<()> {
    process.signal(Signal::KILL)?;
    if !process.wait_for_end(KILL_PATIENCE)? {
        bail!("process {} does not end, even when killed", process.pid);
    }
    Ok(())
}

/// Kills a process and everything that it has started, and returns when all of it has ended. Some
/// would go on serving without the first, as nginx's workers do; others hold what the next start
/// needs, as PostgreSQL's hold its memory.
pub fn kill_with_descendants(process: &ProcessIdentity) -> Result<()> {
    // A stopped process starts nothing more while its descendants are listed.
    process.signal(Signal::STOP)?;
    let descendants = descendants(process.pid);
    kill_own_group(process)?;
    // Each has its signal before the first is waited for, so that none has the time to act on the
    // death of another.
    for killed in descendants.iter().chain([process]) {
        killed.signal(Signal::KILL)?;
    }
    descendants.iter().chain([process]).try_for_each(kill)
}

/// A child whose parent has ended is not a descendant any more, but it stays in the group.
fn kill_own_group(leader: &ProcessIdentity) -> Result<()> {
    let Some(group) = Pid::from_raw(leader.pid).filter(|_| leader.is_alive()) else {
        return Ok(());
    };
    match kill_process_group(group, Signal::KILL) {
        // It leads no group of its own.
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("kill a group of processes"),
    }
}

/// The children of a process, their children, and so on. PostgreSQL's leave its group and its
/// session, so that the parent is all that tells whose they are.
fn descendants(of: i32) -> Vec<ProcessIdentity> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    // Parents are read from every process: the kernel's list of children in /proc is an option of
    // its build, which some machines lack.
    for pid in all_pids() {
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![of];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let more = children.remove(parent).unwrap_or_default();
        found.extend(more);
        next += 1;
    }
    found.into_iter().skip(1).filter_map(ProcessIdentity::of).collect()
}

/// Returns the pid of every process.
pub fn all_pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    // A name that is not a number, such as `sys`, does not stand for a process.
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the state and the parent follow it.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_descendant_in_a_session_of_its_own_is_killed_with_its_ancestor() {
        // As PostgreSQL does: the child leaves the session, and its parent waits.
        let script = "setsid sh -c 'echo $$; sleep 600; :' & wait";
        let mut parent = Command::new("sh")
            .args(["-c", script])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let identity = ProcessIdentity::of_child(&parent).unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let child = ProcessIdentity::of(line.trim().parse().unwrap()).unwrap();

        kill_with_descendants(&identity).unwrap();

        assert!(!child.is_alive() && !identity.is_alive());
        parent.wait().unwrap();
    }

    #[test]
    fn a_process_that_has_ended_is_killed_without_complaint() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let identity = ProcessIdentity::of_child(&child).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        kill_with_descendants(&identity).unwrap();
    }
}
