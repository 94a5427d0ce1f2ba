//! The system calls that have no safe wrapper. All unsafe code of the cell is here.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::libc;

/// A child that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedChild {
    /// Its process id.
    pub(crate) pid: i32,
    /// Its wait status.
    pub(crate) status: i32,
    /// Its processor time, with that of the children that it waited for.
    pub(crate) cpu: Duration,
    /// Its largest resident set, in KiB.
    pub(crate) rss_peak_kib: u64,
}

/// What [`wait_any`] found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitOutcome {
    Child(EndedChild),
    StillRunning,
    NoChildren,
}

/// Reaps one child of any kind, blocking or not.
#[expect(
    unsafe_code,
    reason = "neither nix nor rustix has wait4, the only call that gives one child's usage"
)]
pub(crate) fn wait_any(block: bool) -> io::Result<WaitOutcome> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let options = if block { 0 } else { libc::WNOHANG };
    // SAFETY: both pointers are to live memory of the right types, and wait4 keeps neither.
    let pid = unsafe { libc::wait4(-1, &raw mut status, options, usage.as_mut_ptr()) };
    match pid {
        -1 => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => Ok(WaitOutcome::NoChildren),
            error => Err(error),
        },
        0 => Ok(WaitOutcome::StillRunning),
        pid => {
            // SAFETY: all of its bits were zero, which is a valid rusage, and wait4 has filled it
            // in.
            let usage = unsafe { usage.assume_init() };
            Ok(WaitOutcome::Child(ended(pid, status, &usage)))
        }
    }
}

fn ended(pid: i32, status: i32, usage: &libc::rusage) -> EndedChild {
    let time = |time: libc::timeval| {
        let micros = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_usec);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    EndedChild {
        pid,
        status,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        rss_peak_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    }
}

/// Has the allocator give every large block back as soon as it is freed. A child's peak memory
/// starts at its parent's, so that one large message would otherwise count for every later program.
#[expect(unsafe_code, reason = "the allocator's settings have no safe wrapper")]
pub(crate) fn return_large_blocks() {
    const LARGE_BYTES: i32 = 128 * 1024;
    // SAFETY: mallopt takes plain numbers, and no other thread exists.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
    assert!(set == 1, "glibc takes this threshold");
}

/// Takes over a descriptor that the parent left open for this process.
#[expect(
    unsafe_code,
    reason = "only the two processes' agreement says that the number is an open descriptor"
)]
pub(crate) fn inherited(fd: RawFd) -> OwnedFd {
    // SAFETY: `spawn` passes the number of a descriptor that it made for this process, and nothing
    // else in this process uses it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
