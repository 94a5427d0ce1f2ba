//! Our four services: one environment, one way to be ready.

use anyhow::{Context, Result, bail};

use super::{Part, Site, ask};
use crate::command::{clean, output};
use crate::process::Spec;

/// One of our services.
pub(crate) struct Service {
    name: &'static str,
    args: &'static [&'static str],
}

/// HTTP in, events out.
pub(crate) const COMMAND_API: Service = Service { name: "command-api", args: &[] };

/// Views out.
pub(crate) const QUERY_API: Service = Service { name: "query-api", args: &[] };

/// Submissions in, outcomes out.
pub(crate) const EXECUTOR: Service = Service { name: "executor", args: &[] };

/// Events in, views out.
pub(crate) const PROJECTOR: Service = Service { name: "projector", args: &["serve"] };

/// How long a service may take to finish what it holds. The executor's own bound is below it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(45);

impl Part for Service {
    fn name(&self) -> &'static str {
        self.name
    }

    fn prepare(&self, site: &Site) -> Result<Spec> {
        let program = site.programs.join(self.name);
        if !program.is_file() {
            bail!("{} is not built; `cargo dev up` builds it", program.display());
        }
        let mut spec = Spec::new(program).args(self.args.iter().copied());
        spec.env = environment(site, self.name)?;
        Ok(spec)
    }

    fn check(&self, site: &Site) -> Result<()> {
        match ask(&format!("{}/health/ready", site.service_url(self.name)?))? {
            (200, _) => Ok(()),
            (status, body) => bail!("/health/ready answers {status}: {}", body.trim()),
        }
    }

    fn stopping(&self) -> (rustix::process::Signal, std::time::Duration) {
        (rustix::process::Signal::TERM, PATIENCE)
    }
}

/// Brings the schema up to date.
pub(crate) fn migrate(site: &Site) -> Result<()> {
    let mut command = clean(site.programs.join("projector"));
    command.arg("migrate").envs(environment(site, "projector")?).current_dir("/");
    output(&mut command).context("bring the database schema up to date").map(drop)
}

/// The same for every service; each reads the sections that it knows.
fn environment(site: &Site, name: &str) -> Result<Vec<(String, std::ffi::OsString)>> {
    let values = [
        ("HTTP__LISTEN", site.ports.address(name)?),
        ("NATS__URL", site.nats_url()?),
        ("NATS__MONITOR_URL", site.service_url("nats-monitor")?),
        ("POSTGRES__URL", site.postgres_url()?),
        ("MONGO__URL", site.mongo_url()?),
        ("MONGO__DATABASE", "runledger".to_owned()),
        ("AUTH__HS256_SECRET", site.secret.text().to_owned()),
        ("DOCKER__HOST", site.engine.host.clone()),
        // Marks this topology's containers, so that only they are removed with it.
        ("EXECUTOR__HOST", site.layout.key()),
        ("LOG__FORMAT", "json".to_owned()),
    ];
    let named = values.map(|(key, value)| (format!("RUNLEDGER__{key}"), value.into()));
    Ok(named.into_iter().chain([("RUST_BACKTRACE".to_owned(), "1".into())]).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::install::Tools;
    use crate::paths::Layout;
    use crate::ports::Ports;
    use crate::secrets::Secret;
    use crate::servers::Engine;

    fn site(dir: &Path) -> Site {
        let layout = Layout::new(dir, dir);
        let mut ports = Ports::default();
        ports.settle("services", |_| false).unwrap();
        let nowhere = PathBuf::from("/nowhere");
        let tools = Tools {
            nats_server: nowhere.clone(),
            mongod: nowhere.clone(),
            postgres: nowhere.clone(),
            nginx: nowhere.clone(),
            dockerd: None,
        };
        let (engine, secret) = (Engine::private(&layout), Secret::ensure(&layout).unwrap());
        Site { layout, ports, tools, engine, programs: nowhere, secret }
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
        let ours: BTreeSet<&str> = ours.map(String::as_str).collect();
        assert_eq!(ours, there.keys().filter_map(|name| name.as_str()).collect());
    }

    #[test]
    fn every_service_listens_on_its_own_loopback_port() {
        let dir = tempfile::tempdir().unwrap();
        let site = site(dir.path());

        for part in crate::servers::SERVICES {
            let name = part.name();
            let variables = environment(&site, name).unwrap();
            let listen =
                variables.iter().find(|(key, _)| key == "RUNLEDGER__HTTP__LISTEN").unwrap();
            assert_eq!(listen.1.to_str().unwrap(), site.ports.address(name).unwrap());
        }
    }
}
