//! The log file of a started program.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};

use crate::files;

/// A log of an earlier run is kept as `.log.1` past this size.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How much of a log's end is shown when something is wrong.
const TAIL_BYTES: u64 = 4 * 1024;

/// Opens a log for appending.
pub fn open(path: &Path) -> Result<File> {
    let dir = path.parent().context("log directory")?;
    // A directory that exists keeps its mode: that of a test is private.
    if !dir.is_dir() {
        files::make_public(dir)?;
    }
    // Only while it is opened: a running program holds the file by its descriptor, and would go on
    // writing into the renamed one.
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1")).context("turn the log over")?;
    }
    // Appended to, so that a restart keeps what the last run said about its end.
    let open = OpenOptions::new().create(true).append(true).open(path);
    open.with_context(|| format!("open {}", path.display()))
}

/// Returns the end of a log; nothing if there is none.
pub fn tail(path: &Path) -> String {
    let mut end = Vec::new();
    let read = File::open(path).and_then(|mut log| {
        let bytes = log.metadata()?.len();
        log.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES)))?;
        log.read_to_end(&mut end)
    });
    match read {
        // The first byte may lie in the middle of a character.
        Ok(_) => String::from_utf8_lossy(&end).into_owned(),
        Err(error) => format!("(there is no log: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_tail_is_the_end_of_what_was_appended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/part.log");
        open(&path).unwrap().write_all(&[b'x'; 10_000]).unwrap();
        open(&path).unwrap().write_all(b"the end").unwrap();

        let tail = tail(&path);

        assert!(tail.starts_with('x') && tail.ends_with("the end"), "{tail}");
        assert_eq!(tail.len(), 4 * 1024);
    }

    #[test]
    fn a_long_log_is_turned_over_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part.log");
        open(&path).unwrap().set_len(LOG_BYTES_MAX + 1).unwrap();

        let fresh = open(&path).unwrap();

        assert_eq!(fresh.metadata().unwrap().len(), 0);
        assert!(dir.path().join("part.log.1").is_file());
    }
}
