//! `GET /v1/submissions/{id}/events`: the record as it is stored.

use axum::http::StatusCode;
use events::Digest;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::{TestApp, bearer, get, path};

#[tokio::test]
async fn the_record_is_every_event_byte_by_byte() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.finish().await;
    let history = app.ledger.history(story.id()).await.unwrap();
    let answer = app.get(&format!("{}/events", path(story.id()))).await;
    assert_eq!(answer.status, StatusCode::OK);
    let shown: Vec<Shown<'_>> = serde_json::from_slice(&answer.bytes).unwrap();
    assert_eq!(shown.len(), 3);
    for (shown, stored) in shown.iter().zip(&history) {
        assert_eq!(shown.event.get().as_bytes(), stored.payload);
        assert_eq!(shown.sequence, stored.recorded.sequence);
        assert_eq!(shown.subject, stored.subject.to_string());
        assert_eq!(shown.stored_at, "2027-01-15T08:00:00.123456Z");
    }
    // So whoever reads it can follow the chain.
    for (before, after) in shown.iter().zip(shown.iter().skip(1)) {
        let after: Value = serde_json::from_str(after.event.get()).unwrap();
        assert_eq!(after["previous"], Digest::of(before.event.get().as_bytes()).to_string());
    }
}

#[derive(serde::Deserialize)]
struct Shown<'a> {
    sequence: u64,
    stored_at: String,
    subject: String,
    #[serde(borrow)]
    event: &'a RawValue,
}

#[tokio::test]
async fn the_record_has_a_tag_and_lasts_once_it_has_ended() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let url = format!("{}/events", path(story.id()));
    let first = app.get(&url).await;
    assert_eq!(first.header("cache-control"), "private, no-cache");
    let same = app.get_with(&url, &[("if-none-match", first.header("etag"))]).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    story.finish().await;
    let ended = app.get_with(&url, &[("if-none-match", first.header("etag"))]).await;
    assert_eq!(ended.status, StatusCode::OK);
    assert_eq!(ended.header("cache-control"), "private, max-age=31536000, immutable");
    assert_eq!(ended.body.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_record_needs_no_view() {
    let app = TestApp::new();
    let story = app.story().await;
    app.results.go_away(true);
    let answer = app.get(&format!("{}/events", path(story.id()))).await;
    assert_eq!(answer.body[0]["event"]["type"], json!("submission.accepted"));
}

#[tokio::test]
async fn anothers_record_is_404_and_readers_of_any_see_it() {
    let app = TestApp::new();
    let story = app.story().await;
    let url = format!("{}/events", path(story.id()));
    assert_eq!(app.get_as("bob", &url).await.slug(), "not-found");
    let unknown = app.get("/v1/submissions/018f2f5e-0000-7000-8000-000000000000/events").await;
    assert_eq!(unknown.slug(), "not-found");
    let request = get(&url, &bearer("root", "read:any"), &[]);
    assert_eq!(app.send(request).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn without_nats_the_record_is_503() {
    let app = TestApp::new();
    let story = app.story().await;
    app.store.go_away(true);
    assert_eq!(app.get(&format!("{}/events", path(story.id()))).await.slug(), "unavailable");
}
