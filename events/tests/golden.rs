//! A golden file per stored form: what was written once is read, and written again, byte by byte
//! the same, for ever.

use std::path::PathBuf;

use events::testing as sample;
use events::{Envelope, Event, FormError, Recorded};

fn samples() -> Vec<Event> {
    vec![
        Event::Accepted(Box::new(sample::accepted_with_cases(2))),
        Event::Started(sample::started(1)),
        Event::Compiled(sample::compiled(1)),
        Event::Judged(sample::judged(1, 0, 1)),
        Event::Lost(sample::lost(1)),
        Event::CancellationRequested(sample::cancellation_requested()),
        Event::Completed(Box::new(sample::completed_with_cases(1, 1, 1))),
        Event::Failed(sample::failed(3)),
        Event::Cancelled(sample::cancelled()),
    ]
}

fn golden_path(event: &Event) -> PathBuf {
    let file = format!("{}.{}.json", event.kind(), event.form());
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// The stored bytes of a sample: each is preceded by an accepted event, so that the chain's members
/// are there too.
fn stored(event: Event) -> Vec<u8> {
    let first = sample::record([Event::Accepted(Box::new(sample::accepted()))]);
    let previous = match event {
        Event::Accepted(_) => None,
        _ => first.first().map(Recorded::as_predecessor),
    };
    Envelope::write(sample::SUBMISSION, event, &sample::writer(), previous, sample::instant(7)).1
}

#[test]
fn every_form_is_written_as_its_golden_file_says() {
    for event in samples() {
        let path = golden_path(&event);
        let golden =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stored = stored(event);
        assert_eq!(
            String::from_utf8_lossy(&stored),
            String::from_utf8_lossy(&golden),
            "{}: a stored form is never edited; a new shape is a new form",
            path.display()
        );
    }
}

#[test]
fn every_golden_file_is_read_as_the_event_it_was() {
    for event in samples() {
        let golden = std::fs::read(golden_path(&event)).unwrap();
        let envelope = Envelope::decode(&golden).unwrap();
        assert_eq!(envelope.event, event);
        assert_eq!(envelope.encode(), golden);
    }
}

#[test]
fn every_type_has_a_golden_file() {
    let kinds: Vec<_> = samples().iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::KINDS);
}

#[test]
fn an_unknown_form_is_named_and_not_skipped() {
    let golden = String::from_utf8(stored(Event::Started(sample::started(1)))).unwrap();
    for (from, to) in
        [("execution.started:1", "execution.started:2"), ("execution.started", "execution.paused")]
    {
        let other = golden.replace(from, to);
        let error = Envelope::decode(other.as_bytes()).unwrap_err();
        assert!(matches!(error, FormError::Unknown { .. }), "{to}: {error:?}");
    }
}

#[test]
fn a_field_that_no_form_has_is_refused() {
    let golden = String::from_utf8(stored(Event::Started(sample::started(1)))).unwrap();
    let extended = golden.replace(r#""data":{"#, r#""data":{"surprise":1,"#);
    assert!(matches!(Envelope::decode(extended.as_bytes()), Err(FormError::Malformed(_))));
}
