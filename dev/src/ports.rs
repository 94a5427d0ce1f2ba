//! Which loopback port each part listens on: chosen once, kept in `ports.json`, chosen again only
//! when another program has taken it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::paths::{self, Layout};

/// Ports lie below the range that the kernel gives to outgoing connections: a client that keeps
/// reconnecting to a dead server in that range can end up connected to itself.
const RANGE: Range<u16> = 18_000..30_000;

/// The edge's port, when nobody else has it.
const EDGE_PREFERRED: u16 = 8080;

/// Every port of a topology, by its owner.
pub(crate) const OWNERS: &[&str] = &[
    "edge",
    "nats",
    "nats-monitor",
    "postgres",
    "mongo",
    "command-api",
    "query-api",
    "executor",
    "projector",
];

/// The chosen ports.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// What was chosen before; empty at first.
    pub(crate) fn load(layout: &Layout) -> Result<Self> {
        match fs::read(file(layout)) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("read ports.json"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).context("read ports.json"),
        }
    }

    /// Writes the choice down.
    pub(crate) fn save(&self, layout: &Layout) -> Result<()> {
        paths::write_whole(&file(layout), &serde_json::to_vec_pretty(self)?, 0o644)
    }

    /// The port of a part.
    pub(crate) fn of(&self, owner: &str) -> Result<u16> {
        self.0.get(owner).copied().with_context(|| {
            format!("no port is chosen for {owner} yet; `cargo dev up` chooses them")
        })
    }

    /// The address of a part.
    pub(crate) fn address(&self, owner: &str) -> Result<String> {
        Ok(format!("127.0.0.1:{}", self.of(owner)?))
    }

    /// Keeps every port that is `held` by a running part or free, and chooses the others.
    pub(crate) fn settle(&mut self, key: &str, held: impl Fn(&str) -> bool) -> Result<()> {
        for owner in OWNERS {
            let kept = self.0.get(*owner).is_some_and(|port| held(owner) || is_free(*port));
            if !kept {
                let port = self.choose(key, owner)?;
                self.0.insert((*owner).to_owned(), port);
            }
        }
        Ok(())
    }

    fn choose(&self, key: &str, owner: &str) -> Result<u16> {
        if owner == "edge" && is_free(EDGE_PREFERRED) {
            return Ok(EDGE_PREFERRED);
        }
        let taken = |port: &u16| self.0.values().any(|other| other == port);
        match candidates(key).find(|port| !taken(port) && is_free(*port)) {
            Some(port) => Ok(port),
            None => bail!("no free port between {} and {}", RANGE.start, RANGE.end),
        }
    }
}

fn file(layout: &Layout) -> PathBuf {
    layout.dir.join("ports.json")
}

/// Every port of the range, beginning at a place that depends on the topology, so that two of them
/// seldom want the same one.
fn candidates(key: &str) -> impl Iterator<Item = u16> {
    let sum = key.bytes().fold(17_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let start = RANGE.start + sum % (RANGE.end - RANGE.start);
    (start..RANGE.end).chain(RANGE.start..start)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(key: &str) -> Ports {
        let mut ports = Ports::default();
        ports.settle(key, |_| false).unwrap();
        ports
    }

    #[test]
    fn every_owner_gets_a_port_of_its_own() {
        let ports = settled("one");

        let distinct: std::collections::BTreeSet<u16> = ports.0.values().copied().collect();

        assert_eq!(distinct.len(), OWNERS.len());
    }

    #[test]
    fn ports_stay_below_the_kernels_outgoing_range() {
        let ports = settled("two");

        assert!(ports.0.iter().all(|(owner, port)| owner == "edge" || RANGE.contains(port)));
    }

    #[test]
    fn a_second_choice_keeps_the_first() {
        let mut ports = settled("three");
        let before = ports.0.clone();

        ports.settle("another key", |_| false).unwrap();

        assert_eq!(ports.0, before);
    }

    #[test]
    fn a_port_taken_by_a_stranger_is_given_up_and_one_held_by_us_is_kept() {
        let mut ports = settled("four");
        let before = ports.0.clone();
        let stranger = TcpListener::bind(("127.0.0.1", before["nats"])).unwrap();
        let ours = TcpListener::bind(("127.0.0.1", before["mongo"])).unwrap();

        ports.settle("four", |owner| owner == "mongo").unwrap();

        assert_ne!(ports.0["nats"], before["nats"]);
        assert_eq!(ports.0["mongo"], before["mongo"]);
        drop((stranger, ours));
    }

    #[test]
    fn the_choice_survives_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        let ports = settled("five");

        ports.save(&layout).unwrap();

        assert_eq!(Ports::load(&layout).unwrap().0, ports.0);
    }

    #[test]
    fn candidates_cover_the_range_once() {
        let all: std::collections::BTreeSet<u16> = candidates("x").collect();

        assert_eq!(all.len(), candidates("x").count());
        assert_eq!(all.len(), RANGE.len());
    }
}
