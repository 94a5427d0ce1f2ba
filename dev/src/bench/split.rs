//! Where the time of one submission went: the client's clock, the stream's timestamps and the
//! executor's own timings, put together.

use anyhow::{Context, Result, bail};
use chrono::DateTime;
use client::{EventView, StoredEvent};
use serde_json::Value;

use super::run::Run;

/// The parts, in the order in which a submission goes through them. Microseconds each. Files are
/// prepared while the start is appended, so `prepare` lies beside `queue` and `append`; the client
/// does not wait for the view, so `project` lies beside `answer`.
pub(super) const PARTS: [&str; 8] =
    ["accept", "queue", "cell", "prepare", "run", "append", "answer", "project"];

/// The parts of one submission, in [`PARTS`]' order.
pub(super) type Split = [i64; PARTS.len()];

/// Splits a run by what the ledger says of it.
pub(super) fn of(run: &Run, projected_at_us: i64, events: &[StoredEvent]) -> Result<Split> {
    let (accepted, _) = find(events, "submission.accepted")?;
    let (started, _) = find(events, "execution.started")?;
    let (completed, event) = find(events, "execution.completed")?;
    let timings = &event.data["timings"];
    let (cell, prepare) = (timing(timings, "cell_us")?, timing(timings, "prepare_us")?);
    let run_us = timing(timings, "run_us")?;
    // A cell is taken before the start is appended, so `queue` is what remains of the time between.
    Ok([
        i64::try_from(run.accept.as_micros())?,
        started - accepted - cell,
        cell,
        prepare,
        run_us,
        completed - started - run_us,
        // The stream's server runs on this machine, so its timestamps and ours are of one clock.
        run.ended_at_us - completed,
        projected_at_us - completed,
    ])
}

/// The event of this type, and when the stream stored it, in microseconds since 1970.
fn find(events: &[StoredEvent], kind: &str) -> Result<(i64, EventView)> {
    for stored in events {
        let event = stored.read()?;
        if event.kind == kind {
            let at = DateTime::parse_from_rfc3339(&stored.stored_at);
            let at = at.with_context(|| format!("read the time {}", stored.stored_at))?;
            return Ok((at.timestamp_micros(), event));
        }
    }
    bail!("there is no {kind}")
}

fn timing(timings: &Value, name: &str) -> Result<i64> {
    timings[name].as_i64().with_context(|| format!("the verdict has no {name}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn record(kind: &str, millis: u32, data: &Value) -> StoredEvent {
        let stored_at = format!("2026-01-01T00:00:00.{millis:03}Z");
        let event =
            json!({ "type": kind, "attempt": 1, "actor": "", "previous": null, "data": data });
        let stored = json!({ "sequence": 1, "stored_at": stored_at, "event": event });
        serde_json::from_str(&stored.to_string()).unwrap()
    }

    #[test]
    fn the_parts_between_the_streams_timestamps_are_told_apart() {
        let timings = json!({ "timings": { "cell_us": 200, "prepare_us": 800, "run_us": 10_000 } });
        let events = [
            record("submission.accepted", 1, &json!({})),
            record("execution.started", 3, &json!({})),
            record("execution.completed", 16, &timings),
        ];
        let ended_at_us =
            DateTime::parse_from_rfc3339("2026-01-01T00:00:00.020Z").unwrap().timestamp_micros();
        let run = Run {
            id: String::new(),
            accept: Duration::from_millis(2),
            total: Duration::from_millis(20),
            ended_at_us,
        };
        let parts = [2_000, 1_800, 200, 800, 10_000, 3_000, 4_000, 44_000];
        assert_eq!(of(&run, ended_at_us + 40_000, &events).unwrap(), parts);
    }
}
