//! NATS away, the stream full, or no executor that could run it: 503 with Retry-After, and nothing
//! half done.

use axum::http::StatusCode;
use events::content::INLINE_BYTES_MAX;
use ledger::memory::Mishap;
use serde_json::json;

use std::time::Duration;

use crate::support::{Answer, OFFERED_WITHIN, TestApp, hello};

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
    app.fill(80);
    assert_put_off(&app.submit(&hello()).await);
    assert_eq!(app.event_count().await, 1);
    let retry = app.submit_under("ada", "k", &hello()).await;
    assert_eq!((retry.status, retry.id()), (StatusCode::ACCEPTED, before.id()));
    app.fill(79);
    assert_eq!(app.submit(&hello()).await.status, StatusCode::ACCEPTED);
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
