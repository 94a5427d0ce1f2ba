//! The container engine. One that answers already is used; else a private one is started, without
//! a network of its own, and taken down to the last mount.

mod engine;
mod leftovers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::{Part, Site};
use crate::command::{clean, output};
use crate::failure::failure;
use crate::paths::{self, Layout};
use crate::process::Spec;
use crate::steps;

pub(crate) use engine::Engine;

const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// The private engine.
pub(crate) struct Docker;

impl Part for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn prepare(&self, site: &Site) -> Result<Spec> {
        check_possible()?;
        let layout = &site.layout;
        let exec = exec_root(layout);
        paths::make_public(&exec)?;
        let data = layout.data("docker");
        paths::make_private(&data)?;
        let dockerd = site.tools.dockerd.clone().context("dockerd is not installed")?;
        Ok(Spec::new(dockerd)
            .args(["--host", &site.engine.host, "--bridge=none"])
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--exec-opt",
                "native.cgroupdriver=cgroupfs",
            ])
            .args([flag("--data-root=", &data), flag("--exec-root=", &exec)])
            .args([flag("--pidfile=", &exec.join("dockerd.pid"))])
            .args([flag("--config-file=", &no_config(layout)?)]))
    }

    fn check(&self, site: &Site) -> Result<()> {
        site.engine.ping().map(drop)
    }

    fn before_stop(&self, layout: &Layout) -> Result<()> {
        Engine::private(layout).remove_containers(layout)
    }

    fn after_stop(&self, layout: &Layout) -> Result<()> {
        leftovers::end_helpers(&exec_root(layout))?;
        leftovers::end_contained(&layout.data("docker").join("containers"))?;
        leftovers::unmount_below(&[&exec_root(layout), &layout.data("docker")])?;
        if let Some(engine) = Engine::recorded(layout).filter(|engine| !engine.ours) {
            // An engine that is away runs nothing of ours.
            if engine.ping().is_ok() {
                engine.remove_containers(layout)?;
            }
        }
        paths::remove_tree(&exec_root(layout))
    }

    fn address(&self, site: &Site) -> Result<String> {
        Ok(site.engine.host.clone())
    }

    fn stopping(&self) -> (Signal, Duration) {
        (Signal::TERM, Duration::from_secs(30))
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}{}", path.display())
}

fn socket(layout: &Layout) -> PathBuf {
    layout.sockets().join("docker.sock")
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
