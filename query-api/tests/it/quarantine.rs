//! `GET /v1/admin/quarantine`.

use std::cmp::Reverse;

use events::testing::{LEDGER, instant};
use events::{Digest, LedgerId};
use serde_json::json;
use views::results::QuarantinedMessage;

use crate::support::{TestApp, bearer, get};

const PATH: &str = "/v1/admin/quarantine";

fn message(sequence: u64, payload: &[u8]) -> QuarantinedMessage {
    QuarantinedMessage {
        ledger: LEDGER,
        sequence,
        digest: Digest::of(payload),
        subject: "ledger.oops".to_owned(),
        payload: payload.to_vec(),
        payload_bytes: payload.len() as u64,
        reason: "not a stored event".to_owned(),
        stored_at: instant(0),
    }
}

#[tokio::test]
async fn foreign_messages_are_shown_byte_by_byte_and_page_by_page() {
    let app = TestApp::new();
    app.results.quarantine(vec![message(9, &[0, 0xff]), message(7, b"hi"), message(2, b"")]);
    let operator = bearer("root", "admin");
    let first = app.send(get(&format!("{PATH}?limit=2"), &operator, &[])).await;
    assert_eq!(first.status.as_u16(), 200, "{first:?}");
    assert_eq!(first.header("cache-control"), "no-store");
    let expected = json!({
        "ledger": LEDGER, "sequence": 9, "subject": "ledger.oops", "length": 2,
        "sha256": Digest::of(&[0, 0xff]), "reason": "not a stored event",
        "stored_at": "2026-09-21T14:13:20.000000Z", "bytes": "AP8=",
    });
    assert_eq!(first.body["items"][0], expected);
    assert_eq!(first.body["items"][1]["sequence"], 7);
    let next = first.body["next"].as_str().unwrap();
    let last = app.send(get(&format!("{PATH}?limit=2&cursor={next}"), &operator, &[])).await;
    assert_eq!(last.body["items"].as_array().unwrap().len(), 1);
    assert_eq!((&last.body["items"][0]["sequence"], &last.body["next"]), (&json!(2), &json!(null)));
}

#[tokio::test]
async fn a_page_that_ends_between_two_messages_of_one_sequence_loses_neither() {
    let app = TestApp::new();
    let of = |number, payload: &[u8]| QuarantinedMessage {
        ledger: LedgerId::new(uuid::Uuid::from_u128(number)),
        ..message(7, payload)
    };
    let mut same_ledger = [of(1, b"a"), of(1, b"b")];
    same_ledger.sort_by_key(|message| Reverse(message.digest));
    let [first, second] = same_ledger;
    let expected = [of(2, b"c"), first, second, message(2, b"")];
    app.results.quarantine(expected.to_vec());
    let operator = bearer("root", "admin");
    let (mut found, mut query) = (Vec::new(), "limit=1".to_owned());
    for _ in &expected {
        let page = app.send(get(&format!("{PATH}?{query}"), &operator, &[])).await;
        found.extend(page.body["items"].as_array().unwrap().iter().map(|it| it["sha256"].clone()));
        query = format!("limit=1&cursor={}", page.body["next"].as_str().unwrap_or_default());
    }
    assert_eq!(found, expected.map(|message| json!(message.digest)));
}

#[tokio::test]
async fn only_callers_who_may_see_everything_see_it() {
    let app = TestApp::new();
    assert_eq!(app.get(PATH).await.status.as_u16(), 403);
    let reader = app.send(get(PATH, &bearer("eve", "read:any"), &[])).await;
    assert_eq!((reader.status.as_u16(), &reader.body["items"]), (200, &json!([])));
    app.results.go_away(true);
    let away = app.send(get(PATH, &bearer("root", "admin"), &[])).await;
    assert_eq!((away.status.as_u16(), away.slug()), (503, "unavailable"));
}
