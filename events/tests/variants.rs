//! A golden line for every variant of every stored enum: its type, its word and its JSON. A word
//! that was stored once is read, and written again, for ever.

use std::fmt::{Debug, Write as _};

use events::event::{Checker, FailureClass, Isolation, LostReason, Origin, Suite};
use events::submission::Outcome;
use events::testing as sample;
use events::{
    Content, Event, Exit, Lane, ObjectBucket, ObjectRef, Priority, State, StopCause, Verdict,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use strum::{VariantArray, VariantNames};

/// The stored form of one variant.
struct Variant {
    /// The enum's name.
    of: &'static str,
    /// What strum calls the variant.
    word: &'static str,
    json: Value,
}

/// An enum that is stored, and can be compared with what is read back.
trait Stored: Serialize + DeserializeOwned + PartialEq + Debug {}
impl<T: Serialize + DeserializeOwned + PartialEq + Debug> Stored for T {}

/// Every variant of an enum without data.
fn plain<T>() -> Vec<Variant>
where
    T: Stored + VariantArray,
    for<'a> &'a T: Into<&'static str>,
{
    T::VARIANTS.iter().map(variant).collect()
}

/// Every variant of an enum with data, each by a sample.
fn with_data<T>(samples: &[T]) -> Vec<Variant>
where
    T: Stored + VariantNames,
    for<'a> &'a T: Into<&'static str>,
{
    let words: Vec<&str> = samples.iter().map(Into::into).collect();
    assert_eq!(words, T::VARIANTS, "each variant needs one sample, in order of declaration");
    samples.iter().map(variant).collect()
}

fn variant<T: Stored>(sample: &T) -> Variant
where
    for<'a> &'a T: Into<&'static str>,
{
    let json = serde_json::to_value(sample).expect("a sample is JSON");
    let read: T = serde_json::from_value(json.clone()).expect("what is stored can be read");
    assert_eq!(&read, sample);
    let path = std::any::type_name::<T>();
    let of = path.rsplit("::").next().expect("a type has a name");
    Variant { of, word: sample.into(), json }
}

fn variants() -> Vec<Variant> {
    let object = || ObjectRef::of(ObjectBucket::Tests, b"[]");
    let contents =
        [Content::Text("é".to_owned()), Content::Base64(vec![0xff]), Content::Object(object())];
    let inline = sample::accepted_with_cases(1).suite.expect("it has cases");
    let suites = [inline, Suite::Object { object: object(), count: 3 }];
    let floats = Checker::Floats { tolerance: "1e-6".to_owned() };
    let outcomes = [
        Outcome::Completed(Box::new(sample::completed(1))),
        Outcome::Failed(sample::failed(3)),
        Outcome::Cancelled(sample::cancelled().by),
    ];
    [
        plain::<Lane>(),
        plain::<Priority>(),
        plain::<Origin>(),
        plain::<ObjectBucket>(),
        plain::<Isolation>(),
        plain::<LostReason>(),
        plain::<FailureClass>(),
        plain::<Verdict>(),
        plain::<StopCause>(),
        plain::<State>(),
        with_data(&contents),
        with_data(&suites),
        with_data(&[Checker::Lines, Checker::Exact, Checker::Tokens, floats]),
        with_data(&[Exit::Code(1), Exit::Signal(9)]),
        with_data(&outcomes),
        with_data(&events_of_every_type()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn events_of_every_type() -> [Event; 9] {
    [
        Event::Accepted(Box::new(sample::accepted())),
        Event::Started(sample::started(1)),
        Event::Compiled(sample::compiled(1)),
        Event::Judged(sample::judged(1, 0, 1)),
        Event::Lost(sample::lost(1)),
        Event::CancellationRequested(sample::cancellation_requested()),
        Event::Completed(Box::new(sample::completed(1))),
        Event::Failed(sample::failed(3)),
        Event::Cancelled(sample::cancelled()),
    ]
}

#[test]
fn every_variant_is_stored_as_its_golden_line_says() {
    let mut lines = String::new();
    for Variant { of, word, json } in variants() {
        writeln!(lines, "{of} {word} {json}").unwrap();
    }
    let golden = include_str!("golden/variants.txt");
    assert_eq!(lines, golden, "a stored word is never changed; a new variant needs a new line");
}

#[test]
fn the_words_in_the_program_are_the_stored_ones() {
    for Variant { of, word, json } in variants() {
        let stored = match &json {
            Value::String(word) => word,
            Value::Object(members) => match members.get("type") {
                Some(tag) => tag.as_str().unwrap(),
                None => members.keys().next().unwrap(),
            },
            other => panic!("{of} is stored as {other}"),
        };
        assert_eq!(word, stored, "{of}");
    }
}
