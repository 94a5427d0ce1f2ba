//! One nats-server process.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::BINARY_VARIABLE;
use crate::monitor;

/// How long a server may take to be there.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a server is to be.
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
    directory: TempDir,
    port: u16,
    monitor_port: u16,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a single server that syncs always, and waits until its JetStream is ready.
    pub async fn start() -> Self {
        Self::start_with(&ServerOptions::default()).await
    }

    /// Starts a single server.
    pub async fn start_with(options: &ServerOptions) -> Self {
        let [port, monitor_port] = free_ports();
        let mut server = Self::configured("single", [port, monitor_port], options);
        server.launch();
        server.wait().await;
        server
    }

    /// Writes a server's configuration.
    pub(super) fn configured(name: &str, ports: [u16; 2], options: &ServerOptions) -> Self {
        let [port, monitor_port] = ports;
        let directory = TempDir::with_prefix("runledger-nats-").expect("a temporary directory");
        let sync = if options.sync_always { "sync_interval: always" } else { "" };
        let store = directory.path().join("data");
        let text = format!(
            "server_name: {name}\nlisten: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor_port}\n\
             jetstream {{\n  store_dir: \"{}\"\n  max_file_store: 4GB\n  {sync}\n}}\n{}\n",
            store.display(),
            options.more
        );
        fs::write(directory.path().join("nats.conf"), text).expect("a configuration file");
        Self { name: name.to_owned(), directory, port, monitor_port, process: None }
    }

    /// Starts the process, and does not wait for it.
    pub(super) fn launch(&mut self) {
        let log = File::create(self.log_path()).expect("a log file");
        let errors = log.try_clone().expect("a second handle of the log file");
        let started = Command::new(binary())
            .arg("--config")
            .arg(self.directory.path().join("nats.conf"))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        self.process = Some(started.expect("nats-server starts"));
    }

    /// Waits until its JetStream is ready; in a cluster, until it knows the leader.
    pub(super) async fn wait(&mut self) {
        let deadline = Instant::now() + START_DEADLINE;
        while monitor::get(&self.monitor_url(), "/healthz").await.is_err() {
            let ended = self.process.as_mut().is_some_and(|it| !matches!(it.try_wait(), Ok(None)));
            assert!(
                !ended && Instant::now() < deadline,
                "{} did not start: {}",
                self.name,
                self.log()
            );
            sleep(LOOK_EVERY).await;
        }
    }

    /// Returns the URL for clients.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Returns the monitoring address.
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// Returns the name that it has in a cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what it has logged since it was last started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Kills it at once, as a crash would (`kill -9`).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Fails only when it is dead already.
            drop(process.kill());
            process.wait().expect("a child can be waited for");
        }
    }

    /// Starts it again on the same ports and data, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.kill();
        self.launch();
        self.wait().await;
    }

    /// Stops all its work, as a machine that hangs would (`SIGSTOP`).
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a paused one go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().map(Child::id).expect("a running server");
        let sent = Command::new("kill").arg(signal).arg(pid.to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal} {pid} failed");
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("nats.log")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Picks ports that nobody listens on now.
pub(super) fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until all are picked, so that none is picked twice.
    let held: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.map(|listener| listener.local_addr().expect("the port of a listener").port())
}

#[expect(clippy::disallowed_methods, reason = "a test launcher has no configuration but this one")]
fn binary() -> PathBuf {
    let Ok(path) = std::env::var(BINARY_VARIABLE) else {
        panic!(
            "set {BINARY_VARIABLE} to a nats-server binary (2.15 or later); `cargo dev test` does that"
        );
    };
    assert!(Path::new(&path).is_file(), "{BINARY_VARIABLE} names {path}, which is no file");
    path.into()
}
