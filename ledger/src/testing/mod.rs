//! What tests on a real NATS server share. Never part of a service.

use crate::StreamSettings;

/// Small streams, for servers that live as long as a test.
pub fn small_streams(replicas: usize, monitor_urls: Vec<String>) -> StreamSettings {
    let ledger_bytes_max = 256 * 1024 * 1024;
    StreamSettings { replicas, ledger_bytes_max, objects_bytes_max: 64 * 1024 * 1024, monitor_urls }
}
