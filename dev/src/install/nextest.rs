//! The test runner: the one on the machine, else one built into the cache.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::command::{find, output, shown_run};
use crate::environment;
use crate::paths;
use crate::steps::{loud_step, note};

/// Where cargo-nextest lies; none when it cannot be had, and plain `cargo test` has to do.
pub(crate) fn ensure() -> Result<Option<PathBuf>> {
    if let Some(found) = present() {
        return Ok(Some(found));
    }
    let built = loud_step("build cargo-nextest, once for this machine", || {
        let mut cargo = Command::new(environment::cargo());
        cargo.args(["install", "--locked", "cargo-nextest", "--root"]).arg(paths::cache("tools"));
        shown_run(&mut cargo)
    });
    if let Err(error) = built {
        crate::interrupt::check()?;
        note(format_args!("  no cargo-nextest ({error:#}); plain `cargo test` runs instead"));
    }
    Ok(present())
}

fn present() -> Option<PathBuf> {
    let cached = paths::cache("tools").join("bin/cargo-nextest");
    find("cargo-nextest")
        .into_iter()
        .chain([cached, environment::home().join(".cargo/bin/cargo-nextest")])
        .find(|path| path.is_file() && works(path))
}

fn works(path: &PathBuf) -> bool {
    output(Command::new(path).args(["nextest", "--version"])).is_ok()
}
