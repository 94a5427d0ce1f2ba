//! `cargo dev logs`: what the parts wrote, at once or as it comes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::paths::Layout;
use crate::steps::say;
use crate::{interrupt, parts};

/// How many lines of each log are shown first.
const FIRST_LINES: usize = 200;

/// How much of a log's end is read for them.
const FIRST_BYTES: u64 = 256 * 1024;

const POLL: Duration = Duration::from_millis(200);

/// Shows the log of one part, or of all of them with the part's name before each line.
pub(crate) fn show(layout: &Layout, name: Option<&str>, follow: bool) -> Result<()> {
    let mut tails = tails(layout, name)?;
    tails.iter_mut().try_for_each(Tail::show_last)?;
    while follow && !interrupt::raised() {
        tails.iter_mut().try_for_each(|tail| tail.show_new(usize::MAX))?;
        interrupt::pause(POLL);
    }
    Ok(())
}

fn tails(layout: &Layout, name: Option<&str>) -> Result<Vec<Tail>> {
    if let Some(name) = name {
        let part = parts::named(name)?.name();
        return Ok(vec![Tail::new(&layout.log(part), String::new())]);
    }
    let prefixed = |name: &str| Tail::new(&layout.log(name), format!("{name:<12} "));
    Ok(parts::all().iter().map(|part| prefixed(part.name())).collect())
}

/// A place in a log that grows.
struct Tail {
    path: std::path::PathBuf,
    prefix: String,
    place: u64,
    rest: Vec<u8>,
}

impl Tail {
    fn new(path: &Path, prefix: String) -> Self {
        Self { path: path.to_owned(), prefix, place: 0, rest: Vec::new() }
    }

    fn show_last(&mut self) -> Result<()> {
        let Ok(meta) = std::fs::metadata(&self.path) else { return Ok(()) };
        self.place = meta.len().saturating_sub(FIRST_BYTES);
        self.show_new(FIRST_LINES)
    }

    fn show_new(&mut self, lines_max: usize) -> Result<()> {
        let lines = self.read_lines()?;
        for line in lines.iter().skip(lines.len().saturating_sub(lines_max)) {
            say(format_args!("{}{line}", self.prefix));
        }
        Ok(())
    }

    /// The whole lines since the last time; half a line waits for its end.
    fn read_lines(&mut self) -> Result<Vec<String>> {
        let Ok(mut file) = File::open(&self.path) else { return Ok(Vec::new()) };
        if file.metadata()?.len() < self.place {
            // The log was turned over: what was read of its last line belongs to the old file.
            self.place = 0;
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.place)).context("read the log")?;
        let read = file.read_to_end(&mut self.rest).context("read the log")?;
        self.place += u64::try_from(read)?;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let bytes: Vec<u8> = self.rest.drain(..whole).collect();
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_tail_gives_whole_lines_once_and_survives_a_turn_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut tail = Tail::new(&path, String::new());

        assert!(tail.read_lines().unwrap().is_empty());
        fs::write(&path, "one\ntw").unwrap();
        assert_eq!(tail.read_lines().unwrap(), ["one"]);
        fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(tail.read_lines().unwrap(), ["two"]);
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.read_lines().unwrap(), ["new"]);
    }
}
