//! Our services: one environment but for the password of each, one way to be ready.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};
use servers::Server;
use servers::service::RunledgerService;

use super::{MONGO_DATABASE, Part, Site};
use crate::command::{clean, output};

/// Bytes that the ledger may use, and each of the three buckets of objects.
/// What streams reserve must fit on the disk of a small machine: a NATS server gives out three
/// quarters of what is free, so these need 4.7 GiB.
const LEDGER_BYTES_MAX: u64 = 2 << 30;
const OBJECTS_BYTES_MAX: u64 = 512 << 20;

/// What the others find on NATS.
pub(crate) const PROVISIONER: Part =
    Part { name: "provisioner", configure: |site| service(site, "provisioner", &["--keep"]) };

/// HTTP in, events out.
pub(crate) const COMMAND_API: Part =
    Part { name: "command-api", configure: |site| service(site, "command-api", &[]) };

/// Views out.
pub(crate) const QUERY_API: Part =
    Part { name: "query-api", configure: |site| service(site, "query-api", &[]) };

/// Submissions in, outcomes out.
pub(crate) const EXECUTOR: Part =
    Part { name: "executor", configure: |site| service(site, "executor", &[]) };

/// Events in, views out.
pub(crate) const PROJECTOR: Part =
    Part { name: "projector", configure: |site| service(site, "projector", &["serve"]) };

fn service(site: &Site, name: &str, args: &[&str]) -> Result<Box<dyn Server>> {
    Ok(Box::new(RunledgerService {
        program: site.programs.join(name),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: environment(site, name)?,
        address: site.ports.address(name)?,
    }))
}

/// Brings the schema up to date.
pub(crate) fn migrate(site: &Site) -> Result<()> {
    let mut command = program(site, "projector", "projector")?;
    output(command.arg("migrate")).context("bring the database schema up to date").map(drop)
}

/// One of our programs, to be run to its end, configured as the services are; `user` is who it is on
/// NATS.
pub(crate) fn program(site: &Site, name: &str, user: &str) -> Result<Command> {
    let mut command = clean(site.programs.join(name));
    command.envs(environment(site, user)?).current_dir("/");
    Ok(command)
}

/// The same for every service, but for its password; each reads the sections that it knows.
fn environment(site: &Site, user: &str) -> Result<Vec<(String, OsString)>> {
    let values = [
        ("NATS__URL", site.nats_url()?),
        // A service's user on NATS has its name.
        ("NATS__PASSWORD", site.nats_passwords.of(user)?.to_owned()),
        ("NATS__MONITOR_URL", site.service_url("nats-monitor")?),
        ("POSTGRES__URL", site.postgres_url()?),
        ("MONGO__URL", site.mongo_url()?),
        ("MONGO__DATABASE", MONGO_DATABASE.to_owned()),
        ("AUTH__HS256_SECRET", site.secret.text().to_owned()),
        ("DOCKER__HOST", site.engine.host.clone()),
        // Marks this topology's containers, so that only they are removed with it.
        ("EXECUTOR__HOST", site.layout.key()),
        ("LOG__FORMAT", "json".to_owned()),
    ];
    let own = match user {
        // It alone removes objects, as a user of its own.
        "projector" => vec![("SWEEP__PASSWORD", site.nats_passwords.of("sweeper")?.to_owned())],
        "provisioner" => vec![
            ("STREAMS__LEDGER_BYTES_MAX", LEDGER_BYTES_MAX.to_string()),
            ("STREAMS__OBJECTS_BYTES_MAX", OBJECTS_BYTES_MAX.to_string()),
        ],
        _ => Vec::new(),
    };
    let values = values.into_iter().chain(own);
    let named = values.map(|(key, value)| (format!("RUNLEDGER__{key}"), value.into()));
    // A panic leaves nothing but its lines in the log, so they have to say where it was.
    Ok(named.into_iter().chain([("RUST_BACKTRACE".to_owned(), "1".into())]).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::install::Tools;
    use crate::parts::EngineChoice;
    use crate::paths::Layout;
    use crate::ports::Ports;
    use crate::secrets::{Secret, nats_passwords};

    fn site(dir: &Path) -> Site {
        let layout = Layout::new(dir, dir);
        let mut ports = Ports::default();
        ports.choose("services", |_| false).unwrap();
        let nowhere = PathBuf::from("/nowhere");
        let tools = Tools {
            nats_server: nowhere.clone(),
            mongod: nowhere.clone(),
            postgres: nowhere.clone(),
            nginx: nowhere,
            dockerd: None,
        };
        let (engine, secret) = (EngineChoice::private(&layout), Secret::ensure(&layout).unwrap());
        let nats_passwords = nats_passwords(&layout).unwrap();
        Site { layout, ports, tools, engine, programs: dir.to_owned(), secret, nats_passwords }
    }

    #[test]
    fn compose_configures_the_services_by_the_same_names() {
        let mut compose: serde_norway::Value =
            serde_norway::from_str(include_str!("../../../compose.yaml")).unwrap();
        compose.apply_merge().unwrap();
        let dir = tempfile::tempdir().unwrap();

        let here = environment(&site(dir.path()), "executor").unwrap();

        // The executor's has every name: what all services share, and what is its alone.
        let there = compose["services"]["executor"]["environment"].as_mapping().unwrap();
        let ours = here.iter().map(|(name, _)| name).filter(|name| name.starts_with("RUNLEDGER__"));
        let ours: BTreeSet<&str> =
            ours.map(String::as_str).chain(["RUNLEDGER__HTTP__LISTEN"]).collect();
        assert_eq!(ours, there.keys().filter_map(|name| name.as_str()).collect());
    }

    #[test]
    fn every_secret_that_compose_asks_for_is_made_once_at_random() {
        let compose = include_str!("../../../compose.yaml");
        let asked = compose.split("${").filter_map(|rest| rest.split_once(":?"));
        let asked: BTreeSet<&str> = asked.map(|(name, _)| name).collect();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/make-env");
        let dir = tempfile::tempdir().unwrap();
        let make = || output(clean(script).current_dir(dir.path())).unwrap();
        let read = || std::fs::read_to_string(dir.path().join(".env")).unwrap();

        make();
        let first = read();
        make();

        let lines: Vec<(&str, &str)> =
            first.lines().map(|line| line.split_once('=').unwrap()).collect();
        let secrets: BTreeSet<&str> = lines.iter().map(|(_, secret)| *secret).collect();
        assert_eq!(asked, lines.iter().map(|(name, _)| *name).collect());
        assert_eq!(secrets.len(), lines.len());
        assert!(secrets.iter().all(|secret| secret.len() == 64), "{first}");
        assert_eq!(read(), first);
    }

    #[test]
    fn every_service_listens_on_its_own_loopback_port() {
        let dir = tempfile::tempdir().unwrap();
        let site = site(dir.path());

        for part in crate::parts::SERVICES {
            std::fs::write(dir.path().join(part.name()), "").unwrap();
            let program = part.server(&site).unwrap().prepare().unwrap();
            let listen =
                program.env.iter().find(|(key, _)| key == "RUNLEDGER__HTTP__LISTEN").unwrap();
            assert_eq!(listen.1.to_str().unwrap(), site.ports.address(part.name()).unwrap());
        }
    }
}
