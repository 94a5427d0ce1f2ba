//! The same key with the same body is one submission; with another body it is a mistake.

use axum::http::StatusCode;
use command_api::limited_store::LimitedStore;
use events::ObjectBucket;
use events::content::INLINE_BYTES_MAX;
use ledger::memory::Mishap;
use serde_json::json;

use crate::support::{TestApp, hello};

#[tokio::test]
async fn the_same_key_and_body_is_the_same_202() {
    let app = TestApp::new();
    let first = app.submit_under("ada", "k", &hello()).await;
    let again = app.submit_under("ada", "k", &hello()).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(app.event_count().await, 1);
}

#[tokio::test]
async fn the_form_of_the_body_does_not_matter() {
    let app = TestApp::new();
    let first = app.submit_under("ada", "k", &hello()).await;
    let other_form = json!({
        "encoding": "base64", "files": [{"content": "cHJpbnQoJ2hpJyk=", "name": "main.py"}], "language": "PY",
    });
    let again = app.submit_under("ada", "k", &other_form).await;
    assert_eq!((again.status, again.id()), (StatusCode::ACCEPTED, first.id()));
}

#[tokio::test]
async fn the_same_key_with_another_body_is_422() {
    let app = TestApp::new();
    app.submit_under("ada", "k", &hello()).await;
    let other = json!({"language": "bash", "source": "print('hi')"});
    let answer = app.submit_under("ada", "k", &other).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (422, "idempotency-key-reused"));
    assert_eq!(app.event_count().await, 1);
}

#[tokio::test]
async fn another_lane_under_the_same_key_is_422_too() {
    let app = TestApp::new();
    app.submit_under("ada", "k", &hello()).await;
    let mut judged = hello();
    judged["cases"] = json!([{"expected": "hi"}]);
    let answer = app.submit_under("ada", "k", &judged).await;
    assert_eq!(answer.slug(), "idempotency-key-reused");
    assert_eq!(app.event_count().await, 1);
}

#[tokio::test]
async fn a_key_is_one_users_own() {
    let app = TestApp::new();
    let (ada, bob) = (
        app.submit_under("ada", "k", &hello()).await,
        app.submit_under("bob", "k", &hello()).await,
    );
    assert_ne!(ada.id(), bob.id());
    assert_eq!(app.event_count().await, 2);
}

#[tokio::test]
async fn a_retry_tells_the_present_state_and_the_first_sequence() {
    let app = TestApp::new();
    let first = app.submit_under("ada", "k", &hello()).await;
    app.submit(&hello()).await;
    app.cancel("ada", &first.id()).await;
    let again = app.submit_under("ada", "k", &hello()).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!((&again.body["sequence"], &again.body["state"]), (&json!(1), &json!("cancelled")));
}

#[tokio::test]
async fn a_retry_needs_no_room_for_what_is_stored_already() {
    let app = TestApp::new();
    let large = json!({"language": "python", "source": "#".repeat(INLINE_BYTES_MAX + 1)});
    let first = app.submit_under("ada", "k", &large).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    app.fill(LimitedStore::Bucket(ObjectBucket::Sources), 80);
    let again = app.submit_under("ada", "k", &large).await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    let other = app.submit_under("ada", "another", &large).await;
    assert_eq!(other.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_still_makes_one_submission() {
    let app = TestApp::with_mishaps(&[Mishap::AnswerLost]);
    let answer = app.submit(&hello()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(app.event_count().await, 1);
}

#[tokio::test]
async fn racing_requests_with_one_key_make_one_submission() {
    let app = TestApp::new();
    let body = hello();
    let requests = (0..8).map(|_| app.submit_under("ada", "k", &body));
    let answers = futures::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "{answers:?}");
    assert_eq!(app.event_count().await, 1);
}
