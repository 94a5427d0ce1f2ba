//! Every object that an event refers to is named by it, and what stands in it is counted.

use events::event::{Compiled, Completed, Suite};
use events::{Captured, Content, Event, ObjectBucket, ObjectRef};

#[test]
fn an_event_names_every_object_that_it_refers_to() {
    let object = |text: &str| ObjectRef::of(ObjectBucket::Sources, text.as_bytes());
    let content = |text: &str| Content::Object(object(text));
    let mut accepted = events::testing::accepted_with_cases(1);
    accepted.files[0].content = content("file");
    accepted.stdin = content("stdin");
    if let Some(Suite::Inline { cases, sha256: _ }) = &mut accepted.suite {
        cases[0].expected = content("expected");
    }
    let named = |event: Event| event.objects().into_iter().cloned().collect::<Vec<_>>();
    let both = Event::Accepted(Box::new(accepted.clone()));
    assert_eq!(named(both), [object("file"), object("stdin"), object("expected")]);
    accepted.suite = Some(Suite::Object { object: object("suite"), count: 1 });
    let with_suite = Event::Accepted(Box::new(accepted));
    assert_eq!(named(with_suite), [object("file"), object("stdin"), object("suite")]);
    let captured = |text: &str| Captured { content: content(text), ..Captured::default() };
    let compiled = Compiled { output: captured("compiler"), ..events::testing::compiled(1) };
    assert_eq!(named(Event::Compiled(compiled)), [object("compiler")]);
    let (stdout, stderr) = (captured("stdout"), captured("stderr"));
    let completed = Completed { stdout, stderr, ..events::testing::completed(1) };
    let ended = Event::Completed(Box::new(completed));
    assert_eq!(named(ended), [object("stdout"), object("stderr")]);
    assert!(named(Event::Started(events::testing::started(1))).is_empty());
}

#[test]
fn an_event_counts_what_stands_in_it() {
    let text = |bytes: usize| Content::Text("x".repeat(bytes));
    let object = Content::Object(ObjectRef::of(ObjectBucket::Sources, b"elsewhere"));
    let mut accepted = events::testing::accepted_with_cases(1);
    accepted.files[0].content = text(1);
    accepted.stdin = object.clone();
    accepted.args = vec!["xx".to_owned()];
    accepted.compiler_options = vec!["xxxx".to_owned()];
    if let Some(Suite::Inline { cases, sha256: _ }) = &mut accepted.suite {
        (cases[0].stdin, cases[0].expected) = (text(8), text(16));
    }
    assert_eq!(Event::Accepted(Box::new(accepted)).inline_bytes(), 31);
    let captured = |content: Content| Captured { content, ..Captured::default() };
    let compiled = Compiled { output: captured(text(3)), ..events::testing::compiled(1) };
    assert_eq!(Event::Compiled(compiled).inline_bytes(), 3);
    let (stdout, stderr) = (captured(text(5)), captured(object));
    let completed = Completed { stdout, stderr, ..events::testing::completed(1) };
    assert_eq!(Event::Completed(Box::new(completed)).inline_bytes(), 5);
    assert_eq!(Event::Started(events::testing::started(1)).inline_bytes(), 0);
}
