//! Ends and reaps every other process of the cell, and adds up what these processes used.

use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::protocol::StageExit;

use crate::fault::{CellFault, During};
use crate::sys::{EndedChild, WaitOutcome, wait_any};

/// What is known of the processes of one stage.
#[derive(Debug)]
pub(crate) struct Reaped {
    main: i32,
    /// How the main process ended, once it has.
    pub(crate) exit: Option<StageExit>,
    /// Processor time of all that ended.
    pub(crate) cpu: Duration,
    /// The largest resident set of any that ended, in KiB.
    pub(crate) rss_peak_kib: u64,
}

impl Reaped {
    pub(crate) fn new(main: u32) -> Self {
        let main = i32::try_from(main).expect("process ids are positive 32-bit numbers");
        Self { main, exit: None, cpu: Duration::ZERO, rss_peak_kib: 0 }
    }

    /// Reaps every process that has ended.
    pub(crate) fn reap_ended(&mut self) -> Result<(), CellFault> {
        // Orphans become init's children, and would fill the process limit as zombies.
        while let WaitOutcome::Child(ended) = wait_any(false).during("cannot wait")? {
            self.count(ended);
        }
        Ok(())
    }

    /// Kills every process but init, and returns when none is left.
    pub(crate) fn kill_and_reap_all(&mut self) -> Result<(), CellFault> {
        loop {
            kill_all()?;
            match wait_any(true).during("cannot wait")? {
                WaitOutcome::Child(ended) => self.count(ended),
                WaitOutcome::NoChildren => return Ok(()),
                WaitOutcome::StillRunning => {
                    unreachable!("a blocking wait never finds children running")
                }
            }
            self.reap_ended()?;
        }
    }

    fn count(&mut self, ended: EndedChild) {
        if ended.pid == self.main {
            self.exit = Some(exit(ended.status));
        }
        self.cpu += ended.cpu;
        self.rss_peak_kib = self.rss_peak_kib.max(ended.rss_peak_kib);
    }
}

/// Kills all processes in one step, which no fork can overtake; the kernel exempts init itself.
fn kill_all() -> Result<(), CellFault> {
    match kill(Pid::from_raw(-1), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).during("cannot kill"),
    }
}

fn exit(status: i32) -> StageExit {
    if libc::WIFSIGNALED(status) {
        StageExit::Signal(libc::WTERMSIG(status))
    } else {
        StageExit::Code(libc::WEXITSTATUS(status))
    }
}
