//! Where the time of one submission went: the client's clock, the stream's timestamps and the executor's own timings, put together.

use anyhow::{Context, Result};
use chrono::DateTime;
use serde_json::Value;

use crate::client::{Record, Run};

/// The parts, in the order in which a submission goes through them. Microseconds each. Files are prepared while the start
/// is appended, so `prepare` lies beside `queue` and `append`; nobody waits for the view, so `project` lies beside `answer`.
pub(super) const PARTS: [&str; 8] =
    ["accept", "queue", "cell", "prepare", "run", "append", "answer", "project"];

/// The parts of one submission, in [`PARTS`]' order.
pub(super) type Split = [i64; PARTS.len()];

/// Splits a run by what the ledger says of it.
pub(super) fn of(run: &Run, projected_at_us: i64, events: &[Record]) -> Result<Split> {
    let accepted = stored_at(events, "submission.accepted")?;
    let started = stored_at(events, "execution.started")?;
    let completed = stored_at(events, "execution.completed")?;
    let timings = &find(events, "execution.completed")?.event["data"]["timings"];
    let (cell, prepare) = (timing(timings, "cell_us")?, timing(timings, "prepare_us")?);
    let run_us = timing(timings, "run_us")?;
    Ok([
        i64::try_from(run.accept.as_micros())?,
        started - accepted - cell,
        cell,
        prepare,
        run_us,
        completed - started - run_us,
        run.ended_at_us - completed,
        projected_at_us - completed,
    ])
}

fn find<'a>(events: &'a [Record], kind: &str) -> Result<&'a Record> {
    events
        .iter()
        .find(|record| record.event["type"] == kind)
        .with_context(|| format!("there is no {kind}"))
}

/// When the stream stored the event of this type, in microseconds since 1970.
fn stored_at(events: &[Record], kind: &str) -> Result<i64> {
    let text = &find(events, kind)?.stored_at;
    let at = DateTime::parse_from_rfc3339(text).with_context(|| format!("read the time {text}"))?;
    Ok(at.timestamp_micros())
}

fn timing(timings: &Value, name: &str) -> Result<i64> {
    timings[name].as_i64().with_context(|| format!("the verdict has no {name}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::client::Submission;

    fn record(kind: &str, millis: u32, data: &Value) -> Record {
        let stored_at = format!("2026-01-01T00:00:00.{millis:03}Z");
        Record { stored_at, event: json!({ "type": kind, "data": data }) }
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
            end: Submission::default(),
        };
        let parts = [2_000, 1_800, 200, 800, 10_000, 3_000, 4_000, 44_000];
        assert_eq!(of(&run, ended_at_us + 40_000, &events).unwrap(), parts);
    }
}
