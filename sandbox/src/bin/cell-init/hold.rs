//! `cell-init hold`: does nothing until it is told to end. It keeps a network namespace alive that cells join.

use nix::sys::signal::{SigSet, Signal};

use crate::fault::{CellFault, During};

/// Waits for SIGTERM or SIGINT. Process 1 does not die of a signal that it does not take up itself.
pub(crate) fn hold() -> Result<(), CellFault> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block().during("cannot block signals")?;
    signals.wait().during("cannot wait for a signal")?;
    Ok(())
}
