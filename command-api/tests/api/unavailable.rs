//! NATS away, the stream full, or no executor that could run it: 503 with Retry-After, and nothing
//! half done.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use command_api::limited_store::LimitedStore;
use events::content::INLINE_BYTES_MAX;
use events::event::Accepted;
use events::room::outcome_bytes_max;
use events::{Clock as _, Content, Event, ObjectBucket, ObjectRef, Recorded};
use ledger::memory::Mishap;
use serde_json::{Value, json};

use crate::support::{Answer, OFFERED_WITHIN, STORED_BYTES_MAX, TestApp, hello};

fn assert_put_off(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"), "{answer:?}");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
}

#[tokio::test(start_paused = true)]
async fn nats_away_is_503_and_nothing_is_stored() {
    let app = TestApp::new();
    app.store.go_away(true);
    assert_put_off(&app.submit(&hello()).await);
    assert_put_off(&app.submit_under("ada", "k", &hello()).await);
    app.store.go_away(false);
    assert_eq!(app.event_count().await, 0);
    assert_eq!(app.submit_under("ada", "k", &hello()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn nats_away_for_a_moment_is_waited_out() {
    let app = TestApp::with_mishaps(&[Mishap::Away, Mishap::RequestLost, Mishap::InFlight]);
    assert_eq!(app.submit(&hello()).await.status, StatusCode::ACCEPTED);
    assert_eq!(app.event_count().await, 1);
}

#[tokio::test]
async fn a_full_stream_is_503_and_later() {
    let app = TestApp::with_mishaps(&[Mishap::Full]);
    let answer = app.submit(&hello()).await;
    assert_put_off(&answer);
    assert_eq!(answer.header("retry-after"), "60");
    assert_eq!(app.event_count().await, 0);
}

#[tokio::test]
async fn admission_closes_at_80_percent() {
    let app = TestApp::new();
    let before = app.submit_under("ada", "k", &hello()).await;
    app.fill(LimitedStore::Ledger, 80);
    assert_put_off(&app.submit(&hello()).await);
    assert_eq!(app.event_count().await, 1);
    let retry = app.submit_under("ada", "k", &hello()).await;
    assert_eq!((retry.status, retry.id()), (StatusCode::ACCEPTED, before.id()));
    app.fill(LimitedStore::Ledger, 78);
    assert_eq!(app.submit(&hello()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn servers_that_acknowledge_before_they_sync_are_503_and_nothing_is_stored() {
    let app = TestApp::new();
    app.admission.durability().say(Some("a server syncs later"));
    let refused = app.submit(&hello()).await;
    assert_put_off(&refused);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("acknowledges before it syncs"), "{detail}");
    assert_eq!(app.event_count().await, 0);
    app.admission.durability().say(None);
    assert_eq!(app.submit(&hello()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_is_full_is_named_and_refuses_only_what_needs_it() {
    let app = TestApp::new();
    let large = "#".repeat(INLINE_BYTES_MAX + 1);
    let with_source = json!({"language": "python", "source": large});
    let cases = json!([{"stdin": large, "expected": ""}]);
    let with_cases = json!({"language": "python", "source": "1", "cases": cases});
    let fit = |bucket: ObjectBucket, body: &Value| {
        let of_source = (bucket, body) == (ObjectBucket::Sources, &with_source);
        !of_source && (bucket, body) != (ObjectBucket::Tests, &with_cases)
    };
    for bucket in [ObjectBucket::Sources, ObjectBucket::Tests] {
        app.fill(LimitedStore::Bucket(bucket), 80);
        for body in [&hello(), &with_source, &with_cases] {
            let answer = app.submit(body).await;
            if fit(bucket, body) {
                assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
            } else {
                assert_put_off(&answer);
                let detail = answer.body["detail"].as_str().unwrap();
                let word = LimitedStore::Bucket(bucket).as_str();
                assert!(detail.contains(&format!("the store of {word} has no room")), "{detail}");
            }
        }
    }
    for (store, word) in [
        (LimitedStore::Bucket(ObjectBucket::Outputs), "store of outputs"),
        (LimitedStore::Ledger, "ledger"),
    ] {
        app.fill(store, 80);
        let answer = app.submit(&hello()).await;
        assert_put_off(&answer);
        assert!(answer.body["detail"].as_str().unwrap().contains(word), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn until_it_is_known_what_principals_have_nothing_is_added_to_sources_and_tests() {
    let app = TestApp::new();
    let large = "#".repeat(INLINE_BYTES_MAX + 1);
    let with_source = json!({"language": "python", "source": large});
    let cases = json!([{"stdin": large, "expected": ""}]);
    let with_cases = json!({"language": "python", "source": "1", "cases": cases});
    app.stored.forget();
    for body in [&with_source, &with_cases] {
        let answer = app.submit(body).await;
        assert_put_off(&answer);
        assert_eq!(answer.body["detail"], "the service is starting");
    }
    assert_eq!(app.submit(&hello()).await.status, StatusCode::ACCEPTED);
    app.stored.all_is_heard();
    assert_eq!(app.submit(&with_source).await.status, StatusCode::ACCEPTED);
    assert_eq!(app.submit(&with_cases).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn health_names_what_is_full() {
    let app = TestApp::new();
    let room = async || {
        let request = Request::get("/health/room").body(Body::empty()).unwrap();
        app.send(request).await
    };
    assert_eq!(room().await.status, StatusCode::OK);
    app.fill(LimitedStore::Bucket(ObjectBucket::Tests), 90);
    let answer = room().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let is_well = |store: &str| answer.body["checks"][store]["ok"].as_bool();
    let all = ["ledger", "outputs", "sources", "tests"].map(is_well);
    assert_eq!(all, [Some(true), Some(true), Some(true), Some(false)]);
}

#[tokio::test]
async fn what_is_accepted_is_owed_its_outcome_and_what_is_refused_is_not() {
    let app = TestApp::new();
    assert_eq!(app.submit(&hello()).await.status, StatusCode::ACCEPTED);
    let owed = app.owed.bytes();
    assert_eq!(owed, outcome_bytes_max(0, false));
    app.fill(LimitedStore::Ledger, 80);
    assert_put_off(&app.submit(&hello()).await);
    assert_eq!(app.owed.bytes(), owed);
}

#[tokio::test]
async fn a_principal_whose_backlog_needs_too_much_room_is_429_and_others_are_accepted() {
    let app = TestApp::new();
    app.fill(LimitedStore::Ledger, 79);
    let first = app.submit_under("ada", "k", &hello()).await;
    let refused = loop {
        let answer = app.submit(&hello()).await;
        if answer.status != StatusCode::ACCEPTED {
            break answer;
        }
    };
    assert_eq!((refused.status.as_u16(), refused.slug()), (429, "storage-exceeded"));
    assert_eq!(refused.header("retry-after"), "10");
    assert!(refused.body["detail"].as_str().unwrap().contains("have not ended"), "{refused:?}");
    // What is in the ledger already is acknowledged again.
    let again = app.submit_under("ada", "k", &hello()).await;
    assert_eq!((again.status, again.id()), (StatusCode::ACCEPTED, first.id()));
    assert_eq!(app.submit_under("bob", "k", &hello()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_principal_that_has_stored_too_much_is_429_and_others_are_accepted() {
    let app = TestApp::new();
    let stdin = ObjectRef { bytes: STORED_BYTES_MAX, ..ObjectRef::of(ObjectBucket::Sources, b"") };
    let accepted = Accepted { stdin: Content::Object(stdin), ..events::testing::accepted() };
    let now = app.store_clock.now();
    for recorded in events::testing::record([Event::Accepted(Box::new(accepted))]) {
        app.stored.hear(&Recorded { stored_at: now, ..recorded });
    }
    let refused = app.submit_under("ada", "k", &hello()).await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (429, "storage-exceeded"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= OFFERED_WITHIN.as_secs());
    assert_eq!(app.event_count().await, 0);
    assert_eq!(app.submit_under("bob", "k", &hello()).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_language_that_no_executor_had_of_late_is_503_and_nothing_is_stored() {
    let app = TestApp::new();
    let before = app.submit_under("ada", "k", &hello()).await;
    app.offers_clock.advance(OFFERED_WITHIN + Duration::from_secs(1));
    let refused = app.submit_under("ada", "l", &hello()).await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (503, "not-offered"), "{refused:?}");
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(app.event_count().await, 1);
    // A broken rule is told first, and what is stored already needs no executor.
    let invalid = app.submit(&json!({"language": "python", "source": ""})).await;
    assert_eq!(invalid.slug(), "invalid");
    let retry = app.submit_under("ada", "k", &hello()).await;
    assert_eq!((retry.status, retry.id()), (StatusCode::ACCEPTED, before.id()));
    app.offer_languages();
    let accepted = app.submit_under("ada", "l", &hello()).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn objects_away_is_503_and_there_is_no_event() {
    let app = TestApp::new();
    app.objects.go_away(true);
    let body = json!({"language": "python", "source": "#".repeat(INLINE_BYTES_MAX + 1)});
    assert_put_off(&app.submit(&body).await);
    assert_eq!(app.event_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_while_nats_is_away_is_503() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    app.store.go_away(true);
    assert_put_off(&app.cancel("ada", &id).await);
}
