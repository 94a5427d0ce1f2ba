//! What is remembered about the parts that were started, over commands and crashes of `cargo dev`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use servers::ProcessIdentity;
use servers::program::Stop;

use crate::paths::{self, Layout};

/// What is remembered about a started part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) identity: ProcessIdentity,
    /// What it was started from: program, arguments, environment, files.
    pub(crate) fingerprint: String,
    // As they were at the start: a later build may end the part in another way. Absent in what the
    // first versions wrote, whose parts must be stopped as well.
    #[serde(default = "Record::first_signal")]
    stop_signal: i32,
    #[serde(default = "Record::first_patience")]
    stop_patience: Duration,
}

impl Record {
    /// What is to be remembered of a part.
    pub(crate) fn new(identity: ProcessIdentity, fingerprint: String, stop: Stop) -> Self {
        let Stop { signal, patience } = stop;
        Self { identity, fingerprint, stop_signal: signal.as_raw(), stop_patience: patience }
    }

    fn first_signal() -> i32 {
        // All parts end in order at this one; PostgreSQL would wait for its clients at SIGTERM.
        Signal::INT.as_raw()
    }

    fn first_patience() -> Duration {
        Duration::from_secs(45)
    }

    /// How the part is ended in order.
    pub(crate) fn stop(&self) -> Stop {
        let signal = Signal::from_named_raw(self.stop_signal).unwrap_or(Signal::TERM);
        Stop { signal, patience: self.stop_patience }
    }

    /// The record of a part, when it was ever started.
    pub(crate) fn load(layout: &Layout, name: &str) -> Result<Option<Self>> {
        let path = file(layout, name);
        let shown = || format!("read {}", path.display());
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(shown),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(shown),
        }
    }

    /// The record of a part that runs.
    pub(crate) fn alive(layout: &Layout, name: &str) -> Result<Option<Self>> {
        let Some(record) = Self::load(layout, name)? else { return Ok(None) };
        // The command in the foreground is the parent of its parts, and waits for none of them.
        record.identity.reap();
        Ok(record.identity.is_alive().then_some(record))
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
    use super::*;

    #[test]
    fn a_record_of_the_first_version_says_how_its_part_is_stopped() {
        let identity = ProcessIdentity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let written = serde_json::json!({ "identity": identity, "fingerprint": "f" });

        let record: Record = serde_json::from_value(written).unwrap();

        assert_eq!(record.stop().signal, Signal::INT);
        assert!(!record.stop().patience.is_zero());
    }

    #[test]
    fn a_record_survives_a_round_trip_and_can_be_forgotten_twice() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        paths::make_public(&layout.run()).unwrap();
        let identity = ProcessIdentity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let stop = Stop { signal: Signal::INT, patience: Duration::from_secs(20) };
        let record = Record::new(identity, "f".into(), stop);

        record.save(&layout, "nats").unwrap();
        let alive = Record::alive(&layout, "nats").unwrap().unwrap();
        Record::remove(&layout, "nats").unwrap();
        Record::remove(&layout, "nats").unwrap();

        assert_eq!(alive.identity, record.identity);
        assert_eq!(alive.stop().signal, Signal::INT);
        assert_eq!(alive.stop().patience, Duration::from_secs(20));
        assert!(Record::load(&layout, "nats").unwrap().is_none());
    }
}
