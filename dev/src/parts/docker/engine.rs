//! Which container engine a topology uses, and the docker client's calls on it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use servers::ASK_PATIENCE;

use crate::command::{clean, find, output, output_within};
use crate::environment;
use crate::paths::{self, Layout};
use crate::state::Record;

/// Where Debian's engine listens when an init system has started it.
const USUAL: &str = "unix:///var/run/docker.sock";

/// The variable that asks for an engine of the topology's own, also where one answers.
const OWN_ENGINE: &str = "RUNLEDGER_DEV_OWN_ENGINE";

/// The label by which an executor marks its containers as those of one topology.
const HOST_LABEL: &str = "runledger.host";

/// Which engine a topology uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineChoice {
    /// Its address, as `DOCKER_HOST` has it.
    pub(crate) host: String,
    /// Whether we start and stop it.
    pub(crate) ours: bool,
}

impl EngineChoice {
    /// The engine for a topology that is to run: ours if it runs or is asked for, else one that
    /// answers, else ours to be started.
    pub(crate) fn choose(layout: &Layout) -> Self {
        let ours = Self::private(layout);
        if environment::text(OWN_ENGINE).is_some() {
            return ours;
        }
        // The containers of this topology are in the engine that was started for it.
        if Record::alive(layout, "docker").is_ok_and(|record| record.is_some()) {
            return ours;
        }
        let named = environment::text("DOCKER_HOST").filter(|host| !is_private(host));
        let before = Self::recorded(layout).filter(|engine| !engine.ours).map(|engine| engine.host);
        let candidates = named.into_iter().chain(before).chain([USUAL.to_owned()]);
        candidates
            .map(|host| Self { host, ours: false })
            // Asked, since a socket may lie there without an engine behind it.
            .find(|engine| engine.ping().is_ok())
            .unwrap_or(ours)
    }

    /// The engine that was chosen when the topology was started.
    pub(crate) fn recorded(layout: &Layout) -> Option<Self> {
        let host = fs::read_to_string(file(layout)).ok()?;
        let ours = host == Self::private(layout).host;
        Some(Self { host, ours })
    }

    /// Writes the choice down, so that later commands stay with it.
    pub(crate) fn record(&self, layout: &Layout) -> Result<()> {
        paths::write_whole(&file(layout), self.host.as_bytes(), 0o644)
    }

    /// The engine that only this topology uses.
    pub(crate) fn private(layout: &Layout) -> Self {
        let socket = layout.sockets().join("docker.sock");
        Self { host: format!("unix://{}", socket.display()), ours: true }
    }

    /// A call of the docker client on this engine.
    pub(crate) fn docker(&self) -> Command {
        let mut command = clean(find("docker").unwrap_or_else(|| "docker".into()));
        // The classic builder is the only one that every engine and client has.
        command.env("DOCKER_HOST", &self.host).env("DOCKER_BUILDKIT", "0");
        command
    }

    /// Asks the engine for its version.
    pub(crate) fn ping(&self) -> Result<String> {
        let mut command = self.docker();
        command.args(["version", "--format", "{{.Server.Version}}"]);
        Ok(output_within(&mut command, ASK_PATIENCE)?.trim().to_owned())
    }

    /// Removes the containers of this topology's executor; on an engine of ours, every container.
    pub(super) fn remove_containers(&self, layout: &Layout) -> Result<()> {
        let mut list = self.docker();
        list.args(["ps", "--all", "--quiet"]);
        // An engine that is not ours runs containers of strangers, too.
        if !self.ours {
            list.args(["--filter", &format!("label={HOST_LABEL}={}", layout.key())]);
        }
        let ids = output(&mut list)?;
        if ids.trim().is_empty() {
            return Ok(());
        }
        output(self.docker().args(["rm", "--force", "--volumes"]).args(ids.split_whitespace()))
            .map(drop)
    }
}

fn file(layout: &Layout) -> PathBuf {
    layout.dir.join("engine")
}

/// A shell that has read a `dev.env` names the private engine of some topology, which another
/// topology does not share.
fn is_private(host: &str) -> bool {
    host.contains("/.runledger/") || host.contains("/runledger-")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_recorded_choice_is_found_again_and_known_as_ours_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        assert_eq!(EngineChoice::recorded(&layout), None);

        let foreign = EngineChoice { host: "unix:///somewhere/docker.sock".into(), ours: false };
        foreign.record(&layout).unwrap();
        assert_eq!(EngineChoice::recorded(&layout), Some(foreign));

        EngineChoice::private(&layout).record(&layout).unwrap();
        assert_eq!(EngineChoice::recorded(&layout), Some(EngineChoice::private(&layout)));
    }

    #[test]
    fn private_engines_are_known_by_their_place() {
        let near = EngineChoice::private(&Layout::new(Path::new("/c"), Path::new("/c/.runledger")));
        let deep = Path::new("/c").join("d".repeat(90));
        let far = EngineChoice::private(&Layout::new(&deep, &deep.join(".runledger")));

        assert!(is_private(&near.host) && is_private(&far.host));
        assert!(!is_private(USUAL));
    }
}
