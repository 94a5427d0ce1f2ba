//! One command at a time changes a topology. The lock ends with its holder, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::interrupt;
use crate::paths::{self, Layout};
use crate::steps::note;

const POLL: Duration = Duration::from_millis(100);

/// The right to change a topology.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the right, and says so when it has to.
    pub(crate) fn take(layout: &Layout) -> Result<Self> {
        let mut said = false;
        loop {
            if let Some(lock) = Self::try_take(layout)? {
                return Ok(lock);
            }
            if !said {
                note("  another `cargo dev` command is at work here; waiting for it");
                said = true;
            }
            // Polled, because a call that blocks would not notice an interrupt.
            interrupt::pause(POLL);
            interrupt::check()?;
        }
    }

    /// Takes the right if no other command has it.
    pub(crate) fn try_take(layout: &Layout) -> Result<Option<Self>> {
        paths::make_public(&layout.run())?;
        let path = layout.run().join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("lock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_had_by_one_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());

        let first = Lock::try_take(&layout).unwrap();
        let second = Lock::try_take(&layout).unwrap();
        assert!(first.is_some() && second.is_none());
        drop(first);

        assert!(Lock::try_take(&layout).unwrap().is_some());
    }
}
