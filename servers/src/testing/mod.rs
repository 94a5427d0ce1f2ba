//! Servers that live as long as a test, each with ports of its own and its files in a directory of
//! the test. They die with the test, however it ends.

mod cluster;
mod divisible;
mod nats;
mod proxy;
mod tied;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Server;
use crate::port::ClaimedPort;
use crate::ready::wait_until_ready;

pub use cluster::NatsCluster;
pub use divisible::DivisibleCluster;
pub use nats::{BINARY_VARIABLE, NatsServer, ServerOptions, TESTER, password_of, test_passwords};
pub use proxy::Proxy;
pub use tied::TiedProcess;

/// How long a server may take to be ready; an executor makes its first cells meanwhile, and the
/// machine may be busy.
const READY_PATIENCE: Duration = Duration::from_mins(5);

/// A server with the process that it runs in.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct TestServer<S> {
    /// How it is configured.
    pub server: S,
    pub process: TiedProcess,
    _ports: Vec<ClaimedPort>,
}

impl<S: Server + Clone + Send + 'static> TestServer<S> {
    /// Prepares a server that listens on these ports. Its log is `<dir>/<name>.log`.
    pub fn new(name: &str, server: S, ports: Vec<ClaimedPort>, dir: &Path) -> Result<Self> {
        let process = TiedProcess::new(name, server.prepare()?, dir);
        Ok(Self { server, process, _ports: ports })
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.process.start()?;
        self.ready().await
    }

    /// Waits until it is ready; fails at once if it has ended.
    pub async fn ready(&self) -> Result<()> {
        let process = self.process.identity()?.clone();
        let server = self.server.clone();
        // On a thread of its own: questions block, and the test's own tasks go on meanwhile.
        let wait = move || wait_until_ready(&server, &process, READY_PATIENCE, || Ok(()));
        let waited = tokio::task::spawn_blocking(wait).await.context("wait for a server")?;
        waited.with_context(|| self.process.described("did not become ready"))
    }
}

/// Returns the root of the workspace, whose deployment files servers are started with.
pub fn workspace_root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}
