//! The container engine. One that answers already is used; else a private one is started, without
//! a network of its own, and taken down to the last mount.

mod engine;
mod leftovers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use servers::{Program, Server};

use super::Site;
use crate::command::{clean, output};
use crate::failure::failure;
use crate::paths::{self, Layout};
use crate::steps;

pub(crate) use engine::EngineChoice;

const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// The private engine.
pub(super) struct Dockerd {
    /// Absent where another engine answers.
    program: Option<PathBuf>,
    engine: EngineChoice,
    layout: Layout,
}

impl Dockerd {
    /// The engine of this topology.
    pub(super) fn of(site: &Site) -> Self {
        Self {
            program: site.tools.dockerd.clone(),
            engine: site.engine.clone(),
            layout: site.layout.clone(),
        }
    }
}

impl Server for Dockerd {
    fn prepare(&self) -> Result<Program> {
        let program = self.program.as_ref().context("dockerd is not installed")?;
        check_possible()?;
        let layout = &self.layout;
        let exec = exec_root(layout);
        paths::make_public(&exec)?;
        let data = layout.data("docker");
        paths::make_private(&data)?;
        Ok(Program::new(program)
            // No bridge and no rules: cells have no network, and the machine's own stays as it is.
            .args(["--host", &self.engine.host, "--bridge=none"])
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--exec-opt",
                // The other driver asks systemd, which need not run here.
                "native.cgroupdriver=cgroupfs",
            ])
            .args([flag("--data-root=", &data), flag("--exec-root=", &exec)])
            .args([flag("--pidfile=", &exec.join("dockerd.pid"))])
            .args([flag("--config-file=", &no_config(layout)?)])
            .stop_by(Signal::TERM, Duration::from_secs(30)))
    }

    fn check(&self) -> Result<()> {
        self.engine.ping().map(drop)
    }
}

/// Removes what would outlive the engine, before it is asked to end.
pub(crate) fn remove_containers(layout: &Layout) -> Result<()> {
    EngineChoice::private(layout).remove_containers(layout)
}

/// Removes what an engine may have left behind that has ended, however it ended.
pub(crate) fn remove_leftovers(layout: &Layout) -> Result<()> {
    // Processes before mounts: one that is inside of a mount would keep it alive, out of sight.
    leftovers::end_helpers(&exec_root(layout))?;
    leftovers::end_contained(&layout.data("docker").join("containers"))?;
    leftovers::unmount_below(&[&exec_root(layout), &layout.data("docker")])?;
    if let Some(engine) = EngineChoice::recorded(layout).filter(|engine| !engine.ours) {
        // An engine that is away runs nothing of ours.
        if engine.ping().is_ok() {
            engine.remove_containers(layout)?;
        }
    }
    paths::remove_tree(&exec_root(layout))
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}{}", path.display())
}

fn exec_root(layout: &Layout) -> PathBuf {
    layout.sockets().join("docker")
}

/// An empty configuration, so that the machine's own is not mixed in.
fn no_config(layout: &Layout) -> Result<PathBuf> {
    let path = layout.conf("dockerd.json");
    paths::write_whole(&path, b"{}\n", 0o644)?;
    Ok(path)
}

fn check_possible() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(failure(
            "no Docker engine answers, and only root can start one",
            "start Docker (`sudo service docker start`) and join the group docker, or run as root",
        ));
    }
    if !cgroups_mounted() {
        steps::note("  mounting the control groups, which nothing on this machine has mounted");
        output(clean("mount").args(["-t", "cgroup2", "cgroup2", CONTROL_GROUPS]))?;
    }
    Ok(())
}

/// Version 2 has this file at the top; version 1 has a directory for each controller.
fn cgroups_mounted() -> bool {
    ["cgroup.controllers", "memory"]
        .iter()
        .any(|name| Path::new(CONTROL_GROUPS).join(name).exists())
}
