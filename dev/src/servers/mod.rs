//! The parts of a running Runledger. Each knows how to be configured, when it is ready, and how
//! it ends; in which order that happens is `stack`'s business.

pub(crate) mod docker;
mod mongo;
mod nats;
mod nginx;
pub(crate) mod postgres;
mod services;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::install::Tools;
use crate::paths::Layout;
use crate::ports::Ports;
use crate::process::Spec;
use crate::secrets::Secret;

pub(crate) use docker::Engine;
pub(crate) use services::migrate;

/// How long one question to a part may take.
const ASK_PATIENCE: Duration = Duration::from_secs(5);

/// What every part can be told about.
#[derive(Debug)]
pub(crate) struct Site {
    /// Directories.
    pub(crate) layout: Layout,
    /// Chosen ports.
    pub(crate) ports: Ports,
    /// Installed programs.
    pub(crate) tools: Tools,
    /// The container engine that this topology uses.
    pub(crate) engine: Engine,
    /// Where the services' programs are.
    pub(crate) programs: PathBuf,
    /// The secret that tokens are signed with.
    pub(crate) secret: Secret,
}

impl Site {
    /// The event bus.
    pub(crate) fn nats_url(&self) -> Result<String> {
        Ok(format!("nats://{}", self.ports.address("nats")?))
    }

    /// The results database.
    pub(crate) fn postgres_url(&self) -> Result<String> {
        let owner = postgres::OWNER;
        Ok(format!("postgres://{owner}@{}/{}", self.ports.address("postgres")?, postgres::DATABASE))
    }

    /// The progress database's server.
    pub(crate) fn mongo_url(&self) -> Result<String> {
        Ok(format!("mongodb://{}/?replicaSet={}", self.ports.address("mongo")?, mongo::REPLICA_SET))
    }

    /// The origin that clients use.
    pub(crate) fn edge_url(&self) -> Result<String> {
        self.service_url("edge")
    }

    /// A service's own address.
    pub(crate) fn service_url(&self, name: &str) -> Result<String> {
        Ok(format!("http://{}", self.ports.address(name)?))
    }
}

/// One long-lived process of the topology.
pub(crate) trait Part: Sync {
    /// The name that people, logs and files use.
    fn name(&self) -> &'static str;

    /// Writes configuration, makes directories, and says what to run. Harmless when repeated.
    fn prepare(&self, site: &Site) -> Result<Spec>;

    /// Asks the running part whether it does its work.
    fn check(&self, site: &Site) -> Result<()>;

    /// Does once what a fresh part needs after its first start. Harmless when repeated.
    fn settle(&self, site: &Site) -> Result<()> {
        let _ = site;
        Ok(())
    }

    /// Removes what would outlive the process. Called before it is asked to end.
    fn before_stop(&self, layout: &Layout) -> Result<()> {
        let _ = layout;
        Ok(())
    }

    /// Removes what the process may have left behind. Called when it has ended, however it ended.
    fn after_stop(&self, layout: &Layout) -> Result<()> {
        let _ = layout;
        Ok(())
    }

    /// Where it listens, for people.
    fn address(&self, site: &Site) -> Result<String> {
        site.ports.address(self.name())
    }

    /// The signal that ends it in order, and how long that may take.
    fn stopping(&self) -> (rustix::process::Signal, Duration) {
        (rustix::process::Signal::TERM, Duration::from_secs(15))
    }
}

/// The data stores and the engine, in the order of their start.
pub(crate) const SERVERS: &[&dyn Part] =
    &[&nats::Nats, &postgres::Postgres, &mongo::Mongo, &docker::Docker];

/// Our own services, in the order of their start: the first makes the streams that the others read.
pub(crate) const SERVICES: &[&dyn Part] =
    &[&services::COMMAND_API, &services::EXECUTOR, &services::PROJECTOR, &services::QUERY_API];

/// The edge, which is opened last and closed first.
pub(crate) const EDGE: &dyn Part = &nginx::Nginx;

/// Every part, in the order of its start.
pub(crate) fn all() -> Vec<&'static dyn Part> {
    SERVERS.iter().chain(SERVICES).copied().chain([EDGE]).collect()
}

/// The part of this name.
pub(crate) fn named(name: &str) -> Result<&'static dyn Part> {
    all().into_iter().find(|part| part.name() == name).with_context(|| {
        let names: Vec<&str> = all().iter().map(|part| part.name()).collect();
        format!("there is no part {name}; there are {}", names.join(", "))
    })
}

/// Asks a local address over HTTP and returns status and body.
fn ask(url: &str) -> Result<(u16, String)> {
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(ASK_PATIENCE).build()?;
    let answer = client.get(url).send().context("no answer")?;
    Ok((answer.status().as_u16(), answer.text().context("broken answer")?))
}

/// Runs asynchronous code to its end.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ports;

    #[test]
    fn every_part_has_a_name_of_its_own_by_which_it_is_found() {
        let names: Vec<&str> = all().iter().map(|part| part.name()).collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();

        assert_eq!(names.len(), distinct.len(), "two parts share a name: {names:?}");
        for name in names {
            assert_eq!(named(name).unwrap().name(), name);
        }
        assert!(named("absent").is_err());
    }

    #[test]
    fn every_part_that_listens_has_a_port() {
        let portless = |name: &str| name == "docker" || name == "nginx";

        assert!(
            all().iter().map(|part| part.name()).all(|n| portless(n) || ports::OWNERS.contains(&n))
        );
    }
}
