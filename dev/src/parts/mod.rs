//! The parts of a running Runledger: how each is configured here. In which order they start and
//! stop is `stack`'s business; how a server is started and asked is the crate `servers`'.

pub(crate) mod docker;
mod services;
mod stores;

use std::path::PathBuf;

use anyhow::{Context, Result};
use servers::Server;
use servers::nats::NatsPasswords;

use crate::install::Tools;
use crate::paths::Layout;
use crate::ports::Ports;
use crate::secrets::Secret;

pub(crate) use docker::EngineChoice;
pub(crate) use services::{migrate, program};
pub(crate) use stores::superuser_url;

/// The progress database.
const MONGO_DATABASE: &str = "runledger";

/// What every part can be told about.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) layout: Layout,
    pub(crate) ports: Ports,
    pub(crate) tools: Tools,
    /// The container engine that this topology uses.
    pub(crate) engine: EngineChoice,
    /// Where the services' programs are.
    pub(crate) programs: PathBuf,
    /// The secret that tokens are signed with.
    pub(crate) secret: Secret,
    /// The passwords of the users of NATS.
    pub(crate) nats_passwords: NatsPasswords,
}

impl Site {
    /// The event bus.
    pub(crate) fn nats_url(&self) -> Result<String> {
        Ok(stores::nats(self)?.url())
    }

    /// The results database.
    pub(crate) fn postgres_url(&self) -> Result<String> {
        Ok(stores::postgres(self)?.url())
    }

    /// The progress database's server.
    pub(crate) fn mongo_url(&self) -> Result<String> {
        Ok(stores::mongo(self)?.url())
    }

    /// How many bytes the results view has on disk.
    pub(crate) fn postgres_bytes(&self) -> Result<u64> {
        stores::postgres(self)?.table_bytes()
    }

    /// How many bytes the progress view has on disk.
    pub(crate) fn mongo_bytes(&self) -> Result<u64> {
        stores::mongo(self)?.database_bytes(MONGO_DATABASE)
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
pub(crate) struct Part {
    name: &'static str,
    configure: fn(&Site) -> Result<Box<dyn Server>>,
}

impl Part {
    /// The name that people, logs and files use.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The part as it is configured on this site.
    pub(crate) fn server(&self, site: &Site) -> Result<Box<dyn Server>> {
        (self.configure)(site)
    }

    /// Asks the running part whether it does its work.
    pub(crate) fn check(&self, site: &Site) -> Result<()> {
        self.server(site)?.check()
    }

    /// Where it listens, for people.
    pub(crate) fn address(&self, site: &Site) -> Result<String> {
        match self.name {
            "docker" => Ok(site.engine.host.clone()),
            "nginx" => site.ports.address("edge"),
            name => site.ports.address(name),
        }
    }
}

/// nats-server: the ledger's home.
const NATS: Part = Part { name: "nats", configure: |site| Ok(Box::new(stores::nats(site)?)) };

/// PostgreSQL: the results views.
const POSTGRES: Part =
    Part { name: "postgres", configure: |site| Ok(Box::new(stores::postgres(site)?)) };

/// mongod: the progress views.
const MONGO: Part = Part { name: "mongo", configure: |site| Ok(Box::new(stores::mongo(site)?)) };

/// The container engine, where it is ours.
const DOCKER: Part =
    Part { name: "docker", configure: |site| Ok(Box::new(docker::Dockerd::of(site))) };

/// The data stores and the engine, in the order of their start.
pub(crate) const SERVERS: &[&Part] = &[&NATS, &POSTGRES, &MONGO, &DOCKER];

/// Our own services, in the order of their start: the first makes the streams that the others use.
pub(crate) const SERVICES: &[&Part] = &[
    &services::PROVISIONER,
    &services::COMMAND_API,
    &services::EXECUTOR,
    &services::PROJECTOR,
    &services::QUERY_API,
];

/// The edge, which is opened last and closed first.
pub(crate) const EDGE: &Part =
    &Part { name: "nginx", configure: |site| Ok(Box::new(stores::nginx(site)?)) };

/// Every part, in the order of its start.
pub(crate) fn all() -> Vec<&'static Part> {
    SERVERS.iter().chain(SERVICES).copied().chain([EDGE]).collect()
}

/// The part of this name.
pub(crate) fn named(name: &str) -> Result<&'static Part> {
    all().into_iter().find(|part| part.name == name).with_context(|| {
        let names: Vec<&str> = all().iter().map(|part| part.name).collect();
        format!("there is no part {name}; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ports;

    #[test]
    fn every_part_has_a_name_of_its_own_by_which_it_is_found() {
        let names: BTreeSet<&str> = all().iter().map(|part| part.name).collect();

        assert_eq!(names.len(), all().len());
        for part in all() {
            assert!(std::ptr::eq(named(part.name).unwrap(), part));
        }
        assert!(named("absent").is_err());
    }

    #[test]
    fn every_part_that_listens_has_a_port() {
        let portless = |name: &str| name == "docker" || name == "nginx";

        assert!(
            all().iter().map(|part| part.name).all(|n| portless(n) || ports::OWNERS.contains(&n))
        );
    }
}
