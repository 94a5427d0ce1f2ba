//! nats-server: the ledger's home.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::{Part, Site, ask};
use crate::paths;
use crate::process::Spec;

/// The event bus.
pub(crate) struct Nats;

impl Part for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn prepare(&self, site: &Site) -> Result<Spec> {
        let store = site.layout.data("nats");
        paths::make_private(&store)?;
        // The same file that compose.yaml mounts; what differs comes from variables. A string in
        // them has to be quoted, since the server reads a variable's text as configuration.
        let shape = site.layout.root.join("deploy/nats/nats.conf");
        let conf = site.layout.conf("nats.conf");
        fs::copy(&shape, &conf).with_context(|| format!("copy {}", shape.display()))?;
        Ok(Spec::new(&site.tools.nats_server)
            .args(["--config".as_ref(), conf.as_os_str()])
            .file(conf)
            .env("NATS_LISTEN", site.ports.address("nats")?)
            .env("NATS_MONITOR", site.ports.address("nats-monitor")?)
            .env("NATS_STORE_DIR", format!("\"{}\"", store.display())))
    }

    fn check(&self, site: &Site) -> Result<()> {
        let monitor = site.ports.address("nats-monitor")?;
        match ask(&format!("http://{monitor}/healthz"))? {
            (200, _) => Ok(()),
            (status, body) => bail!("health check answers {status}: {}", body.trim()),
        }
    }

    fn stopping(&self) -> (Signal, Duration) {
        (Signal::TERM, Duration::from_secs(20))
    }
}
