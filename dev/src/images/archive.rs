//! Images as compressed archives in the cache: written aside and renamed, so that a reader never
//! meets half of one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use super::archives;
use crate::command::{self, clean, shown};
use crate::parts::EngineChoice;
use crate::paths;
use crate::steps::{StepValue, note, step};

/// Older archives than these are removed.
const KEPT: usize = 3;

fn path(key: &str) -> PathBuf {
    archives().join(format!("{key}.tar.zst"))
}

/// Loads an archive, when the cache has it. A broken one is removed: what it held is built again.
pub(super) fn restore(engine: &EngineChoice, key: &str) -> Result<()> {
    let path = path(key);
    if !path.is_file() {
        return Ok(());
    }
    let loaded = step("load the image's layers from the cache", || load(engine, &path));
    if let Err(error) = loaded {
        crate::interrupt::check()?;
        note(format_args!("  the archive is broken and is removed: {error:#}"));
        fs::remove_file(&path).context("remove a broken archive")?;
    }
    Ok(())
}

fn load(engine: &EngineChoice, path: &Path) -> Result<Size> {
    let file = File::open(path).context("open the archive")?;
    let size = Size(file.metadata()?.len());
    let mut unpack = clean("zstd");
    unpack.args(["--decompress", "--stdout", "--quiet"]).stdin(file);
    let mut docker = engine.docker();
    docker.args(["load", "--quiet"]).stdout(Stdio::null());
    pipe(&mut unpack, &mut docker)?;
    Ok(size)
}

/// Keeps images in the cache.
pub(super) fn keep(engine: &EngineChoice, key: &str, tags: &[&str]) -> Result<()> {
    let dir = archives();
    paths::make_public(&dir)?;
    step("keep the image's layers in the cache", || {
        // In the cache's own directory, since a rename works within one file system only.
        let partial = tempfile::NamedTempFile::new_in(&dir).context("file in the cache")?;
        let mut docker = engine.docker();
        docker.arg("save").args(tags).stdin(Stdio::null());
        let mut pack = clean("zstd");
        pack.args(["-3", "--threads=0", "--stdout", "--quiet"]).stdout(partial.reopen()?);
        pipe(&mut docker, &mut pack)?;
        let size = Size(partial.as_file().metadata()?.len());
        partial.persist(path(key)).context("move into the cache")?;
        Ok(size)
    })?;
    remove_old(&dir)
}

struct Size(u64);

impl StepValue for Size {
    fn shown(&self) -> String {
        format!("{} MiB", self.0 >> 20)
    }
}

/// Runs two programs, the first one's output being the second one's input.
pub(super) fn pipe(from: &mut Command, to: &mut Command) -> Result<()> {
    let (from_name, to_name) = (shown(from), shown(to));
    let mut first =
        from.stdout(Stdio::piped()).spawn().with_context(|| format!("start {from_name}"))?;
    let middle = first.stdout.take().context("no pipe")?;
    let mut second = to.stdin(middle).spawn().with_context(|| format!("start {to_name}"))?;
    // Closes our copy of the pipe's end: if the second program ended early, the first one would
    // otherwise write into a full pipe for ever.
    to.stdin(Stdio::null());
    let second = command::wait(&mut second, None)?;
    let first = command::wait(&mut first, None)?;
    if !first.success() || !second.success() {
        bail!("{from_name} ended with {first}, {to_name} with {second}");
    }
    Ok(())
}

fn remove_old(dir: &Path) -> Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".tar.zst"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    let surplus = files.len().saturating_sub(KEPT);
    for (_, path) in files.into_iter().take(surplus) {
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_newest_archives_stay() {
        let dir = tempfile::tempdir().unwrap();
        for age in 0..5_u64 {
            let file = File::create(dir.path().join(format!("{age}.tar.zst"))).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 - age)).unwrap();
        }

        remove_old(dir.path()).unwrap();

        let mut left: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["0.tar.zst", "1.tar.zst", "2.tar.zst"]);
    }

    #[test]
    fn a_pipe_fails_when_either_side_does() {
        let run = |from: &str, to: &str| {
            let (mut left, mut right) = (clean("sh"), clean("sh"));
            pipe(left.args(["-c", from]), right.args(["-c", to]).stdout(Stdio::null()))
        };

        run("echo x", "cat").unwrap();
        assert!(run("exit 1", "cat").is_err());
        assert!(run("true", "cat; exit 1").is_err());
        assert!(run("head -c 1000000 /dev/zero", "true").is_err(), "it must not wait for ever");
    }
}
