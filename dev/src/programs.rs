//! Our own programs, as cargo builds them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{output, shown_run};
use crate::environment;

/// The profile of the tests. `up` runs the services in it, too, so that neither compiles again what
/// the other has compiled.
pub(crate) const DEV: &str = "dev";

/// The variable that chooses another profile for `up`. A variable and not an argument, since
/// `bench` sets it for commits that know nothing of it.
pub(crate) const PROFILE: &str = "RUNLEDGER_DEV_PROFILE";

/// The profile of `up`.
pub(crate) fn profile() -> String {
    environment::text(PROFILE).unwrap_or_else(|| DEV.to_owned())
}

/// Builds every program.
pub(crate) fn build(root: &Path, profile: &str) -> Result<()> {
    let mut cargo = Command::new(environment::cargo());
    // Always the whole workspace: cargo unites the features of what it builds together, so that
    // another choice of packages would compile their dependencies once more.
    cargo.current_dir(root).args(["build", "--workspace", "--bins", "--profile", profile]);
    shown_run(&mut cargo)
}

/// The folder with the programs of a profile.
pub(crate) fn folder(root: &Path, profile: &str) -> Result<PathBuf> {
    // Cargo builds its profile `dev` into a folder of another name.
    Ok(target_dir(root)?.join(if profile == DEV { "debug" } else { profile }))
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(root: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(environment::cargo());
    // Cargo is asked, since a variable or a configuration may have moved the folder.
    cargo.current_dir(root).args(["metadata", "--no-deps", "--format-version", "1"]);
    let answer: serde_json::Value = serde_json::from_str(&output(&mut cargo)?)?;
    let dir = answer.get("target_directory").and_then(|dir| dir.as_str());
    dir.map(PathBuf::from).context("cargo names no target directory")
}
