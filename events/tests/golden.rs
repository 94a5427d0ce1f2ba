//! A golden file per stored form: what was written once is read, and written again, byte by byte
//! the same, for ever.

use std::path::PathBuf;

use events::envelope::Predecessor;
use events::event::Accepted;
use events::testing as sample;
use events::{Envelope, Event, EventId, FormError};
use uuid::Uuid;

fn samples() -> Vec<Event> {
    vec![
        Event::Accepted(Box::new(Accepted {
            end_user: Some(sample::name("student-7")),
            ..sample::accepted_with_cases(2)
        })),
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

/// The stored bytes of a sample. Each but the first event follows one and the same accepted event,
/// so that the chain's members are there too.
fn stored(event: Event) -> Vec<u8> {
    // Written down, since what follows must not change when an accepted event gets a new form.
    let id = EventId::new(Uuid::from_u128(0xf4d0_9ed3_57c9_5621_b3ff_1eb9_6679_05d7));
    let digest = "8bcfe9daffdac4a44ff8c114f7246c7989a250e0d33b7dce4120925477999999";
    let before = Predecessor { id, digest: sample::name(digest), correlation: id };
    let previous = (!matches!(event, Event::Accepted(_))).then_some(before);
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
fn older_forms_are_read_with_what_they_meant() {
    let mut older = 0;
    for event in samples() {
        for form in 1..event.form() {
            let file = format!("tests/golden/{}.{form}.json", event.kind());
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
            let read = Envelope::decode(&std::fs::read(path).unwrap()).unwrap().event;
            // Nothing that form 2 has added stands in form 1, and all else is the sample's.
            let json = serde_json::to_string(&read).unwrap();
            let plain = serde_json::to_string(&event).unwrap();
            let plain = plain
                .replace(r#","discounted_us":500"#, r#","discounted_us":0"#)
                .replace(r#""end_user":"student-7","#, "")
                .replace(r#","language_version":"3.11""#, "");
            assert_eq!(json, plain, "form {form} of {}", event.kind());
            older += 1;
        }
    }
    assert_eq!(older, 5);
}

#[test]
fn every_type_has_a_golden_file() {
    let kinds: Vec<_> = samples().iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::KINDS);
}

#[test]
fn a_newer_form_is_named_and_not_taken_for_foreign_bytes() {
    let golden = String::from_utf8(stored(Event::Started(sample::started(1)))).unwrap();
    let newer = golden.replace("execution.started:2", "execution.started:3");
    // A newer version may have changed more than the number.
    let with_member = newer.replace(r#""data":{"#, r#""region":"eu","data":{"#);
    let of_new_type = golden.replace("execution.started", "execution.paused");
    for other in [newer, with_member, of_new_type] {
        let error = Envelope::decode(other.as_bytes()).unwrap_err();
        assert!(error.is_newer(), "{other}: {error:?}");
        assert!(error.to_string().contains("upgrade it"), "{error}");
    }
}

#[test]
fn what_claims_no_form_of_ours_is_no_event() {
    let golden = String::from_utf8(stored(Event::Started(sample::started(1)))).unwrap();
    let others = [
        "hi".to_owned(),
        String::new(),
        "{}".to_owned(),
        r#"{"type":"weather.report","dataschema":"https://weather.test/1"}"#.to_owned(),
        golden.replace("execution.started:2", "execution.started:0"),
        golden.replace("execution.started:2", "execution.started:two"),
        golden.replace("urn:runledger:", "urn:weather:"),
        golden.replace(r#""specversion":"1.0""#, r#""specversion":"2.0""#),
        golden.replace(r#""attempt":1,"previous""#, r#""attempt":2,"previous""#),
    ];
    for other in others {
        assert_ne!(other, golden);
        let error = Envelope::decode(other.as_bytes()).unwrap_err();
        assert!(!error.is_newer(), "{other}: {error:?}");
    }
}

#[test]
fn a_field_that_no_form_has_is_refused() {
    let golden = String::from_utf8(stored(Event::Started(sample::started(1)))).unwrap();
    let extended = golden.replace(r#""data":{"#, r#""data":{"surprise":1,"#);
    assert!(matches!(Envelope::decode(extended.as_bytes()), Err(FormError::Malformed(_))));
}
