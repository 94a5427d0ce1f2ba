//! Real NATS servers for tests, on private loopback ports and temporary directories. Never part of a service.
//!
//! A launcher that cannot launch panics: a test without its server has nothing to say.

mod cluster;
mod server;

use crate::StreamSettings;

pub use cluster::NatsCluster;
pub use server::{NatsServer, ServerOptions};

/// Names the nats-server binary to test with.
pub const BINARY_VARIABLE: &str = "RUNLEDGER_TEST_NATS_SERVER";

/// Small streams, for servers that live as long as a test.
pub fn small_streams(replicas: usize, monitor_urls: Vec<String>) -> StreamSettings {
    let ledger_bytes_max = 256 * 1024 * 1024;
    StreamSettings { replicas, ledger_bytes_max, objects_bytes_max: 64 * 1024 * 1024, monitor_urls }
}
