//! Whether the servers have the disk that the streams reserve. A server refuses a stream whose
//! bytes it cannot reserve, with an answer that names neither.

use async_nats::jetstream::context::Context;
use async_nats::jetstream::stream::Config;
use serde_json::Value;

use super::durability::ask_patiently;
use super::{Trouble, is_absent, patiently};
use crate::error::ProvisionError;

const MIB: u64 = 1024 * 1024;

/// Refuses unless each server can reserve what the wanted streams need above what exists.
///
/// Each server counts in full: in a cluster any of them may get a copy of each stream.
pub(super) async fn check(
    context: &Context,
    wanted: &[Config],
    monitor_urls: &[String],
) -> Result<(), ProvisionError> {
    let mut missing = 0;
    for config in wanted {
        let reserved = patiently(&config.name, || reserved(context, &config.name)).await?;
        missing += bytes(config.max_bytes).saturating_sub(reserved);
    }
    for monitor_url in monitor_urls {
        let left = left(&ask_patiently(monitor_url).await?);
        if missing > left {
            return Err(ProvisionError::NoRoom {
                monitor_url: monitor_url.clone(),
                streams_mib: wanted.iter().map(|config| bytes(config.max_bytes)).sum::<u64>() / MIB,
                missing_mib: missing.div_ceil(MIB),
                left_mib: left / MIB,
            });
        }
    }
    Ok(())
}

/// Returns what is reserved for a stream already.
async fn reserved(context: &Context, stream: &str) -> Result<u64, Trouble> {
    match context.get_stream(stream).await {
        Ok(stream) => Ok(bytes(stream.cached_info().config.max_bytes)),
        Err(error) if is_absent(&error.kind()) => Ok(0),
        Err(error) => Err(Trouble::Passing(error.into())),
    }
}

/// Returns what a server can still reserve, by what it says of its JetStream.
fn left(jetstream: &Value) -> u64 {
    // A server that names no bound has none that we could hold against.
    let bound = jetstream["config"]["max_storage"].as_u64().unwrap_or(u64::MAX);
    bound.saturating_sub(jetstream["reserved_storage"].as_u64().unwrap_or(0))
}

/// Returns the bytes of a limit; a stream without one reserves nothing.
fn bytes(max: i64) -> u64 {
    u64::try_from(max).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_reserved_is_not_left() {
        let full = json!({ "config": { "max_storage": 10 }, "reserved_storage": 12 });
        let half = json!({ "config": { "max_storage": 10 }, "reserved_storage": 4 });
        assert_eq!([left(&full), left(&half), left(&json!({}))], [0, 6, u64::MAX]);
        assert_eq!([bytes(-1), bytes(7)], [0, 7]);
    }
}
