//! Debian packages. Installs without starting the packages' own services, since ours run apart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{find, output};
use crate::failure::failure;
use crate::steps::step;

/// Debian's hook that decides whether a package may start its service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

const LIBRARY_DIRS: &[&str] =
    &["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];

/// A package, and how to see that it is not needed.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) package: &'static str,
    /// Whether the machine has what the package would bring.
    pub(crate) met: fn() -> bool,
}

/// Whether a shared library is there.
pub(crate) fn has_library(name: &str) -> bool {
    LIBRARY_DIRS.iter().any(|dir| Path::new(dir).join(name).exists())
}

/// Installs what is not there yet.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let absent: Vec<&str> =
        needs.iter().filter(|need| !(need.met)()).map(|need| need.package).collect();
    if absent.is_empty() {
        return Ok(());
    }
    check_possible(&absent)?;
    // Old lists name versions that the archive has replaced since.
    step("update the package lists", || {
        apt(&["update"]).map(drop).map_err(|error| {
            failure(format!("{error:#}"), "look at /etc/apt/sources.list and the network")
        })
    })?;
    step(&format!("install {}", absent.join(", ")), || install(&absent))
}

fn check_possible(absent: &[&str]) -> Result<()> {
    let list = absent.join(" ");
    if find("apt-get").is_none() {
        return Err(failure(
            format!("this machine lacks {list}, and is not a Debian system that could install it"),
            "install the programs by other means, or use compose.yaml with Docker",
        ));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(failure(
            format!("this machine lacks {list}, and only root can install packages"),
            format!("run `sudo apt-get install {list}`, then try again"),
        ));
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<()> {
    let _quiet = NoServiceStart::begin()?;
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages);
    apt(&args).map(drop).map_err(|error| {
        let list = packages.join(" ");
        failure(format!("{error:#}"), format!("run `apt-get install {list}` and see what it says"))
    })
}

fn apt(args: &[&str]) -> Result<String> {
    let mut command = Command::new("apt-get");
    // Another apt, such as one that runs by night, may have the lock for minutes.
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(args);
    // A package that asks a question would wait for its answer for ever.
    command.env("DEBIAN_FRONTEND", "noninteractive");
    output(&mut command)
}

/// While it lives, no package starts a service. A policy of the machine's own stays as it is.
struct NoServiceStart {
    ours: bool,
}

impl NoServiceStart {
    fn begin() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        // 101 is the hook's word for an action that is forbidden.
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context("write policy-rc.d")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).context("policy-rc.d")?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServiceStart {
    fn drop(&mut self) {
        if self.ours {
            drop(fs::remove_file(POLICY));
        }
    }
}
