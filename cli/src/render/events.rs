//! The ledger's record as a table: what happened, when, by whom, and a summary. Checks on the
//! stored bytes that each event names the hash of the event before it.

use client::{ClientError, EventView, StoredEvent};
use events::Digest;
use serde_json::Value;

use super::{Align, TextTable, printable};

/// How many characters of a hash tell events apart.
const HASH_CHARS: usize = 12;

/// Shows events in their order, and below them whether the chain holds.
pub(crate) fn events(stored: &[StoredEvent]) -> Result<String, ClientError> {
    let mut table = TextTable::new([
        ("sequence", Align::Right),
        ("time", Align::Left),
        ("type", Align::Left),
        ("attempt", Align::Right),
        ("who", Align::Left),
        ("hash", Align::Left),
        ("what", Align::Left),
    ]);
    let (mut before, mut broken) = (None, Vec::new());
    for stored in stored {
        let event = stored.read()?;
        if event.previous != before {
            broken.push(stored.sequence);
        }
        // Of the bytes as they are stored: an event that was parsed and written again may differ.
        let hash = Digest::of(stored.event.get().as_bytes()).to_string();
        table.row([
            stored.sequence.to_string(),
            stored.stored_at.clone(),
            event.kind.clone(),
            event.attempt.to_string(),
            printable(event.actor.as_bytes()),
            hash.chars().take(HASH_CHARS).collect(),
            summary(&event),
        ]);
        before = Some(hash);
    }
    Ok(format!("{}{}", table.render(), chain_line(&broken)))
}

fn chain_line(broken: &[u64]) -> String {
    if broken.is_empty() {
        return "the hash chain holds\n".to_owned();
    }
    let places: Vec<String> = broken.iter().map(u64::to_string).collect();
    format!("THE HASH CHAIN IS BROKEN at sequence {}\n", places.join(", "))
}

/// The most telling members of each type.
fn summary(event: &EventView) -> String {
    let data = |pointer: &str| event.data.pointer(pointer);
    let parts: Vec<Option<String>> = match event.kind.as_str() {
        "submission.accepted" => {
            let files = data("/files").and_then(Value::as_array).map(Vec::len);
            let cases = data("/suite").filter(|suite| !suite.is_null()).map(count_of_cases);
            vec![text_of(data("/language/slug")), files.map(|n| format!("{n} file(s)")), cases]
        }
        "execution.started" => {
            vec![text_of(data("/executor")), text_of(data("/image")), text_of(data("/isolation"))]
        }
        "execution.compiled" => {
            let ok = data("/ok").and_then(Value::as_bool) == Some(true);
            vec![
                Some(if ok { "ok" } else { "refused" }.to_owned()),
                milliseconds(data("/usage/cpu_us")),
            ]
        }
        "execution.judged" => {
            let results = data("/results").and_then(Value::as_array).map_or(0, Vec::len);
            let first = data("/first").and_then(Value::as_u64).unwrap_or(0);
            vec![Some(format!("{results} case(s) from {}", first + 1))]
        }
        "execution.completed" => {
            vec![
                text_of(data("/verdict")),
                milliseconds(data("/usage/cpu_us")),
                data("/cases").and_then(passed),
            ]
        }
        "execution.failed" => vec![text_of(data("/class")), text_of(data("/reason"))],
        "execution.lost" => {
            vec![
                text_of(data("/reason")),
                text_of(data("/observer")).map(|who| format!("seen by {who}")),
            ]
        }
        "cancellation.requested" => vec![text_of(data("/reason"))],
        "submission.cancelled" => vec![text_of(data("/by")).map(|who| format!("by {who}"))],
        // A newer server may have types that this program does not know.
        _newer => Vec::new(),
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn text_of(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(|text| printable(text.as_bytes()))
}

fn milliseconds(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_u64).map(|us| format!("cpu {} ms", us / 1_000))
}

fn count_of_cases(suite: &Value) -> String {
    let inline =
        suite.pointer("/inline/cases").and_then(Value::as_array).map(|cases| cases.len() as u64);
    let count =
        inline.or_else(|| suite.pointer("/object/count").and_then(Value::as_u64)).unwrap_or(0);
    format!("{count} case(s)")
}

fn passed(cases: &Value) -> Option<String> {
    let number = |name: &str| cases.get(name).and_then(Value::as_u64);
    Some(format!("{}/{} cases", number("passed")?, number("total")?))
}

#[cfg(test)]
mod tests {
    use events::envelope::Writer;
    use events::event::{CancellationRequested, Cancelled};
    use events::{BootId, Envelope, Event, Recorded, SubmissionId};
    use serde_json::value::RawValue;

    use super::*;

    fn id() -> &'static str {
        "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"
    }

    /// Two events as the ledger stores them, the second on the first.
    fn record() -> Vec<StoredEvent> {
        let submission: SubmissionId = id().parse().unwrap();
        let instance: BootId = id().parse().unwrap();
        let writer = Writer {
            source: "/x".to_owned(),
            actor: "user:student-17".to_owned(),
            instance,
            traceparent: None,
        };
        let time = "2027-01-15T08:00:00Z".parse().unwrap();
        let by = "user:student-17".to_owned();
        let asked = Event::CancellationRequested(CancellationRequested {
            by: by.clone(),
            reason: Some("bored".to_owned()),
        });
        let (_, first) = Envelope::write(submission, asked, &writer, None, time);
        let before = Recorded::decode(1, time, &first).unwrap().as_predecessor();
        let done = Event::Cancelled(Cancelled { by });
        let (_, second) = Envelope::write(submission, done, &writer, Some(before), time);
        [first, second]
            .into_iter()
            .zip(1..)
            .map(|(payload, sequence)| stored(payload, sequence))
            .collect()
    }

    fn stored(payload: Vec<u8>, sequence: u64) -> StoredEvent {
        let event = RawValue::from_string(String::from_utf8(payload).unwrap()).unwrap();
        StoredEvent { sequence, stored_at: "2027-01-15T08:00:00.000000Z".to_owned(), event }
    }

    #[test]
    fn a_record_shows_what_happened_and_that_the_chain_holds() {
        let text = events(&record()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].contains("cancellation.requested") && lines[1].ends_with("bored"),
            "{text}"
        );
        assert!(
            lines[2].contains("submission.cancelled") && lines[2].ends_with("by user:student-17"),
            "{text}"
        );
        assert_eq!(lines[3], "the hash chain holds");
    }

    #[test]
    fn an_event_that_was_altered_breaks_the_chain_after_it() {
        let mut record = record();
        let altered = record[0].event.get().replace("bored", "tired");
        record[0] = stored(altered.into_bytes(), 1);
        let text = events(&record).unwrap();
        assert!(text.ends_with("THE HASH CHAIN IS BROKEN at sequence 2\n"), "{text}");
    }

    #[test]
    fn each_type_has_its_line() {
        let said = |kind: &str, data: Value| {
            summary(&EventView {
                kind: kind.to_owned(),
                attempt: 1,
                actor: String::new(),
                previous: None,
                data,
            })
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for (kind, data, line) in [
            (
                "submission.accepted",
                r#"{"language":{"slug":"c"},"files":[{}],"suite":{"inline":{"cases":[{},{}]}}}"#,
                "c, 1 file(s), 2 case(s)",
            ),
            (
                "submission.accepted",
                r#"{"language":{"slug":"c"},"files":[{}],"suite":null}"#,
                "c, 1 file(s)",
            ),
            (
                "execution.started",
                r#"{"executor":"e1","image":"core:dev","isolation":"single-use"}"#,
                "e1, core:dev, single-use",
            ),
            ("execution.compiled", r#"{"ok":false,"usage":{"cpu_us":2500}}"#, "refused, cpu 2 ms"),
            ("execution.judged", r#"{"first":16,"results":[{},{}]}"#, "2 case(s) from 17"),
            (
                "execution.completed",
                r#"{"verdict":"accepted","usage":{"cpu_us":1000},"cases":{"passed":2,"total":3}}"#,
                "accepted, cpu 1 ms, 2/3 cases",
            ),
            (
                "execution.failed",
                r#"{"class":"unrunnable","reason":"x\u001b"}"#,
                "unrunnable, x\\x1b",
            ),
            (
                "execution.lost",
                r#"{"reason":"executor_gone","observer":"e2"}"#,
                "executor_gone, seen by e2",
            ),
            ("a.newer.one", "{}", ""),
        ] {
            assert_eq!(said(kind, json(data)), line, "{kind}");
        }
    }
}
