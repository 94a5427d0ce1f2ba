//! `cell-init hold`: does nothing until it is told to end. It keeps a network namespace alive,
//! which cells join.

use nix::sys::signal::{SigSet, Signal};

use crate::fault::{CellFault, During};

/// Waits for SIGTERM or SIGINT.
pub(crate) fn hold() -> Result<(), CellFault> {
    // The kernel drops signals to process 1 that have no handler, so init waits
    // for them itself.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block().during("cannot block signals")?;
    signals.wait().during("cannot wait for a signal")?;
    Ok(())
}
