//! Which loopback port each part listens on: chosen once, kept in `ports.json`, chosen again only
//! when another program has taken it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use servers::ClaimedPort;

use crate::paths::{self, Layout};

/// Ports lie below the range that the kernel gives to outgoing connections: a client that keeps
/// reconnecting to a dead server in that range can end up connected to itself.
const RANGE: Range<u16> = 18_000..30_000;

/// The edge's port, when no other program has it.
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
    "provisioner",
];

/// The chosen ports.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ports {
    chosen: BTreeMap<String, u16>,
    // Between the choice and the start of the last part lies the build of the services, in which
    // another program could take a port.
    #[serde(skip)]
    claims: RefCell<BTreeMap<String, ClaimedPort>>,
}

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
        self.chosen.get(owner).copied().with_context(|| {
            format!("no port is chosen for {owner} yet; `cargo dev up` chooses them")
        })
    }

    /// The address of a part.
    pub(crate) fn address(&self, owner: &str) -> Result<String> {
        Ok(format!("127.0.0.1:{}", self.of(owner)?))
    }

    /// Keeps every port that a running part holds or that can be claimed, and chooses the others.
    pub(crate) fn choose(&mut self, key: &str, held: impl Fn(&str) -> bool) -> Result<()> {
        for owner in OWNERS {
            // The part itself listens there, so that a claim would fail.
            if self.chosen.contains_key(*owner) && held(owner) {
                continue;
            }
            let before = self.chosen.get(*owner).copied();
            let preferred = (*owner == "edge").then_some(EDGE_PREFERRED);
            let port =
                self.claim(before.into_iter().chain(preferred).chain(candidates(key)), owner)?;
            self.chosen.insert((*owner).to_owned(), port.number());
            self.claims.get_mut().insert((*owner).to_owned(), port);
        }
        Ok(())
    }

    fn claim(&self, candidates: impl Iterator<Item = u16>, owner: &str) -> Result<ClaimedPort> {
        let others =
            |port: &u16| self.chosen.iter().any(|(other, chosen)| other != owner && chosen == port);
        for number in candidates.filter(|port| !others(port)) {
            if let Some(port) = ClaimedPort::claim(number)? {
                return Ok(port);
            }
        }
        bail!("no free port between {} and {}", RANGE.start, RANGE.end)
    }

    /// Gives up the claims on a part's ports, which it listens on by now.
    pub(crate) fn release(&self, part: &str) {
        self.claims.borrow_mut().retain(|owner, _| part_of(owner) != part);
    }
}

/// The part that listens on an owner's port.
pub(crate) fn part_of(owner: &str) -> &str {
    match owner {
        "edge" => "nginx",
        "nats-monitor" => "nats",
        other => other,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::TcpListener;

    use super::*;

    fn chosen(key: &str) -> Ports {
        let mut ports = Ports::default();
        ports.choose(key, |_| false).unwrap();
        ports
    }

    /// The same choice, made by a command that has ended.
    fn recalled(ports: Ports) -> Ports {
        Ports { chosen: ports.chosen, ..Ports::default() }
    }

    #[test]
    fn every_owner_gets_a_port_of_its_own() {
        let ports = chosen("one");

        let distinct: BTreeSet<u16> = ports.chosen.values().copied().collect();

        assert_eq!(distinct.len(), OWNERS.len());
    }

    #[test]
    fn ports_stay_below_the_kernels_outgoing_range() {
        let ports = chosen("two");

        assert!(ports.chosen.iter().all(|(owner, port)| owner == "edge" || RANGE.contains(port)));
    }

    #[test]
    fn a_second_choice_keeps_the_first() {
        let mut ports = recalled(chosen("three"));
        let before = ports.chosen.clone();

        ports.choose("another key", |_| false).unwrap();

        assert_eq!(ports.chosen, before);
    }

    #[test]
    fn a_port_taken_by_a_stranger_is_given_up_and_one_held_by_us_is_kept() {
        let mut ports = recalled(chosen("four"));
        let before = ports.chosen.clone();
        let stranger = TcpListener::bind(("127.0.0.1", before["nats"])).unwrap();
        let ours = TcpListener::bind(("127.0.0.1", before["mongo"])).unwrap();

        ports.choose("four", |owner| owner == "mongo").unwrap();

        assert_ne!(ports.chosen["nats"], before["nats"]);
        assert_eq!(ports.chosen["mongo"], before["mongo"]);
        drop((stranger, ours));
    }

    #[test]
    fn a_chosen_port_stays_claimed_until_its_part_listens() {
        let ports = chosen("six");
        let number = ports.of("nats-monitor").unwrap();

        assert!(ClaimedPort::claim(number).unwrap().is_none());
        ports.release("nats");

        assert!(ClaimedPort::claim(number).unwrap().is_some());
        assert!(ClaimedPort::claim(ports.of("mongo").unwrap()).unwrap().is_none());
    }

    #[test]
    fn the_choice_survives_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        let ports = chosen("five");

        ports.save(&layout).unwrap();

        assert_eq!(Ports::load(&layout).unwrap().chosen, ports.chosen);
    }

    #[test]
    fn candidates_cover_the_range_once() {
        let all: BTreeSet<u16> = candidates("x").collect();

        assert_eq!(all.len(), candidates("x").count());
        assert_eq!(all.len(), RANGE.len());
    }
}
