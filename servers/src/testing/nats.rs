//! nats-servers for suites that need the ledger's server and nothing else.
//!
//! A launcher that cannot launch panics: a test without its server has nothing to say.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::{TestServer, workspace_root};
use crate::files;
use crate::nats::{Nats, NatsPasswords};
use crate::port::ClaimedPort;

/// Names the nats-server binary to test with.
pub const BINARY_VARIABLE: &str = "RUNLEDGER_TEST_NATS_SERVER";

/// The line that makes an acknowledged event stay over a crash of the machine.
const SYNC_ALWAYS: &str = "sync_interval: always";

/// A user whom only tests have, and who may do everything: a foreign writer, an operator with too
/// many rights, or several services at once.
pub const TESTER: &str = "tester";

/// Returns a user's password on every server of tests.
pub fn password_of(user: &str) -> String {
    format!("password-of-{user}")
}

/// Returns the passwords of every server of tests.
pub fn test_passwords() -> NatsPasswords {
    NatsPasswords::of_each(|user| Ok(password_of(user))).expect("no password can be missing")
}

/// How a server is to differ from the deployed one.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Whether it has `sync_interval: always`.
    pub sync_always: bool,
    /// More lines of its configuration.
    pub more: String,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { sync_always: true, more: String::new() }
    }
}

/// A server, killed when dropped.
#[derive(Debug)]
pub struct NatsServer {
    name: String,
    server: TestServer<Nats>,
    directory: TempDir,
}

impl NatsServer {
    /// Starts a single server that syncs always, and waits until its JetStream is ready.
    pub async fn start() -> Self {
        Self::start_with(&ServerOptions::default()).await
    }

    /// Starts a single server.
    pub async fn start_with(options: &ServerOptions) -> Self {
        let mut server = Self::configured("single", options);
        server.launch();
        server.wait().await;
        server
    }

    /// Writes a server's configuration: the deployed one, with the differences.
    pub(super) fn configured(name: &str, options: &ServerOptions) -> Self {
        let directory = TempDir::with_prefix("runledger-nats-").expect("a temporary directory");
        // The deployed file and not one for tests, so that a mistake in it fails here.
        let deployed = fs::read_to_string(workspace_root().join("deploy/nats/nats.conf"))
            .expect("the deployed configuration");
        let config = directory.path().join("nats.conf");
        fs::write(&config, format!("{deployed}\n{}\n", options.more)).expect("a configuration");
        fs::write(directory.path().join("users.conf"), users()).expect("a file of users");
        let ports = [(); 2].map(|()| ClaimedPort::any().expect("a port"));
        let [address, monitor_address] = ports.each_ref().map(ClaimedPort::address);
        let server = Nats {
            program: binary(),
            config,
            name: Some(name.to_owned()),
            address,
            monitor_address,
            store: directory.path().join("data"),
            passwords: test_passwords(),
        };
        let server = TestServer::new("nats", server, ports.into(), directory.path());
        let server = server.expect("a server's directories");
        let server = Self { name: name.to_owned(), server, directory };
        server.sync_always(options.sync_always);
        server
    }

    /// Lets it sync before it acknowledges, or later, from its next start on.
    pub fn sync_always(&self, always: bool) {
        self.server.server.sync_always(always).expect("the configuration");
    }

    /// Starts the process, and does not wait for it.
    pub(super) fn launch(&mut self) {
        self.server.process.start().expect("nats-server starts");
    }

    /// Waits until its JetStream is ready; in a cluster, until it knows the leader.
    pub(super) async fn wait(&self) {
        self.server.ready().await.expect("nats-server becomes ready");
    }

    /// Returns the URL for clients.
    pub fn url(&self) -> String {
        self.server.server.url()
    }

    /// Returns the monitoring address.
    pub fn monitor_url(&self) -> String {
        self.server.server.monitor_url()
    }

    /// Returns host and port of the monitoring address.
    pub(super) fn monitor_address(&self) -> &str {
        &self.server.server.monitor_address
    }

    /// Returns the name that it has in a cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Kills it, and puts a copy of its store aside.
    pub fn save(&mut self) {
        self.kill();
        files::copy_tree(&self.server.server.store, &self.saved()).expect("the store is copied");
    }

    /// Kills it, and puts the copy back in place of its store, as an operator does who restores a
    /// backup.
    pub fn set_back(&mut self) {
        self.kill();
        let store = &self.server.server.store;
        files::remove_tree(store).expect("the store is removed");
        files::copy_tree(&self.saved(), store).expect("the copy is put back");
    }

    fn saved(&self) -> PathBuf {
        self.directory.path().join("saved")
    }

    /// Returns what it has logged.
    pub fn log(&self) -> String {
        self.server.process.log().expect("the log of nats-server")
    }

    /// Kills it at once, as a crash would (`kill -9`). One that was killed already stays dead.
    pub fn kill(&mut self) {
        if self.server.process.is_running() {
            self.server.process.kill().expect("nats-server is killed");
        }
    }

    /// Starts it again on the same ports and data, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.kill();
        self.launch();
        self.wait().await;
    }
}

impl Nats {
    /// Lets a server of a test sync before it acknowledges, or later, from its next start on.
    pub fn sync_always(&self, always: bool) -> Result<()> {
        let without = format!("# {SYNC_ALWAYS}");
        let text = fs::read_to_string(&self.config)?.replace(&without, SYNC_ALWAYS);
        ensure!(text.contains(SYNC_ALWAYS), "the deployed server does not sync always");
        let text = if always { text } else { text.replace(SYNC_ALWAYS, &without) };
        Ok(fs::write(&self.config, text)?)
    }
}

/// Returns the deployed users, and the tests' own.
fn users() -> String {
    let file = workspace_root().join("deploy/nats/users.conf");
    let deployed = fs::read_to_string(file).expect("the deployed users");
    let first = "users = [";
    assert!(deployed.contains(first), "the deployed file lists its users");
    let tester = format!("{first} {{ user: {TESTER}, password: {} }}", password_of(TESTER));
    // The first account is the one with the streams.
    deployed.replacen(first, &tester, 1)
}

#[expect(clippy::disallowed_methods, reason = "a test launcher has no configuration but this one")]
fn binary() -> PathBuf {
    let Ok(path) = std::env::var(BINARY_VARIABLE) else {
        panic!(
            "set {BINARY_VARIABLE} to a nats-server binary (2.15 or later); `cargo dev test` does that"
        );
    };
    let path = PathBuf::from(path);
    assert!(path.is_file(), "{BINARY_VARIABLE} names {}, which is not a file", path.display());
    path
}
