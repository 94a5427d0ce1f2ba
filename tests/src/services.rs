//! Our own services as processes: the release binaries, configured by the environment alone.

use std::path::Path;

use anyhow::Result;
use servers::ClaimedPort;
use servers::service::RunledgerService;
use servers::testing::{TestServer, password_of};

/// The services of a whole Runledger but executors, and the command that serves.
pub const SINGLES: [(&str, &[&str]); 4] = [
    ("provisioner", &["--keep"]),
    ("command-api", &[]),
    ("query-api", &[]),
    ("projector", &["serve"]),
];

/// Configuration as `SECTION__KEY` and value.
pub type Settings = Vec<(String, String)>;

/// Prepares the service `name`, which runs `program` with its log in `dir`.
pub fn service(
    name: &str,
    program: &Path,
    args: &[&str],
    settings: &Settings,
    dir: &Path,
) -> Result<TestServer<RunledgerService>> {
    let port = ClaimedPort::any()?;
    let server = RunledgerService {
        program: program.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: environment(settings).map(|(name, value)| (name, value.into())).collect(),
        address: port.address(),
    };
    TestServer::new(name, server, vec![port], dir)
}

/// Returns the passwords with which a service connects to NATS, as settings.
pub fn nats_passwords(service: &str) -> Settings {
    let own = ("NATS__PASSWORD".to_owned(), password_of(service));
    // The projector alone reads this one.
    vec![own, ("SWEEP__PASSWORD".to_owned(), password_of("sweeper"))]
}

/// Returns configuration as variables.
pub fn environment(settings: &Settings) -> impl Iterator<Item = (String, String)> {
    settings.iter().map(|(key, value)| (format!("RUNLEDGER__{key}"), value.clone()))
}
