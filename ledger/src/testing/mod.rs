//! What tests on a real NATS server share. Never part of a service.

use crate::StreamSettings;

/// Small streams, for servers that live as long as a test.
pub fn small_streams(replicas: usize, monitor_urls: Vec<String>) -> StreamSettings {
    StreamSettings {
        replicas,
        ledger_bytes_max: 256 * 1024 * 1024,
        objects_bytes_max: 64 * 1024 * 1024,
        outputs_age_s: 3_600,
        monitor_urls,
    }
}
