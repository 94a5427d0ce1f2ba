//! The servers that are not ours, as one world has them.

pub mod engine;
pub mod mongo;
pub mod nats;
pub mod postgres;

use std::path::Path;

use anyhow::Result;
use servers::ClaimedPort;
use servers::nginx::Nginx;
use servers::testing::TestServer;

pub use servers::testing::workspace_root;

use crate::tools::Tools;

/// Prepares an edge in front of command-api and query-api, with its files below `dir`.
pub fn edge(
    tools: &Tools,
    dir: &Path,
    [command_api, query_api]: [&str; 2],
    has_workers: bool,
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
        is_single_process: !has_workers,
    };
    TestServer::new("nginx", server, vec![port], dir)
}
