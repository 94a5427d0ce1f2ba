//! The servers that are not ours, as one world has them.

pub mod engine;
pub mod mongo;
pub mod postgres;

use std::path::Path;

use anyhow::Result;
use servers::ClaimedPort;
use servers::nats::Nats;
use servers::nginx::Nginx;
use servers::testing::TestServer;

pub use servers::testing::workspace_root;

use crate::tools::Tools;

/// Prepares a private nats-server with its data below `dir`.
pub fn nats(tools: &Tools, dir: &Path) -> Result<TestServer<Nats>> {
    let ports = [ClaimedPort::any()?, ClaimedPort::any()?];
    let [address, monitor_address] = ports.each_ref().map(ClaimedPort::address);
    let server = Nats {
        program: tools.nats_server.clone(),
        config: workspace_root().join("deploy/nats/nats.conf"),
        name: None,
        address,
        monitor_address,
        store: dir.join("nats"),
    };
    TestServer::new("nats", server, ports.into(), dir)
}

/// Prepares an edge in front of two services, with its files below `dir`.
pub fn edge(
    tools: &Tools,
    dir: &Path,
    command_api: &str,
    query_api: &str,
) -> Result<TestServer<Nginx>> {
    let port = ClaimedPort::any()?;
    let server = Nginx {
        program: tools.nginx.clone(),
        root: workspace_root(),
        config: dir.join("nginx.conf"),
        state: dir.join("nginx"),
        address: port.address(),
        command_api: command_api.to_owned(),
        query_api: query_api.to_owned(),
        // Nothing of it may survive a kill of the test.
        is_single_process: true,
    };
    TestServer::new("nginx", server, vec![port], dir)
}
