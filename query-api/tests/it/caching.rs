//! Entity tags, 304, Cache-Control and HEAD.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use events::event::Completed;
use events::{Captured, Content, ObjectBucket, ObjectRef};
use ledger::ObjectStore as _;
use serde_json::{Value, json};

use crate::support::{OUTPUTS_AGE, Story, TestApp, bearer, completed, path};

const FOR_EVER: &str = "private, max-age=31536000, immutable";

#[tokio::test]
async fn what_has_ended_may_be_kept_for_ever() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.finish().await;
    let answer = app.get(&path(story.id())).await;
    assert_eq!(answer.header("cache-control"), FOR_EVER);
    assert_eq!(answer.header("etag"), format!("\"{}-{}\"", story.id(), story.sequence()));
    assert_eq!(answer.header("vary"), "authorization");
}

#[tokio::test]
async fn what_may_change_is_asked_about_each_time() {
    let app = TestApp::new();
    let story = app.story().await;
    assert_eq!(app.get(&path(story.id())).await.header("cache-control"), "private, no-cache");
}

#[tokio::test]
async fn a_version_that_the_client_has_is_304_until_it_changes() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let tag = app.get(&path(story.id())).await.header("etag").to_owned();
    let same = app.get_with(&path(story.id()), &[("if-none-match", &tag)]).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    assert_eq!((same.header("etag"), same.bytes.len()), (tag.as_str(), 0));
    assert_eq!(same.header("cache-control"), "private, no-cache");
    story.finish().await;
    let url = format!("{}?min_seq={}", path(story.id()), story.sequence());
    let changed = app.get_with(&url, &[("if-none-match", &tag)]).await;
    assert_eq!((changed.status, changed.state()), (StatusCode::OK, "completed"));
}

#[tokio::test]
async fn a_304_is_for_the_owner_only() {
    let app = TestApp::new();
    let story = app.story().await;
    let tag = app.get(&path(story.id())).await.header("etag").to_owned();
    let request = crate::support::get(
        &path(story.id()),
        &bearer("bob", "submit"),
        &[("if-none-match", &tag)],
    );
    assert_eq!(app.send(request).await.slug(), "not-found");
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.finish().await;
    let request = Request::builder()
        .method(Method::HEAD)
        .uri(path(story.id()))
        .header("authorization", bearer("ada", "submit"))
        .body(Body::empty())
        .unwrap();
    let head = app.send(request).await;
    let whole = app.get(&path(story.id())).await;
    assert_eq!((head.status, head.bytes.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("etag"), whole.header("etag"));
    assert_eq!(head.header("content-length"), whole.bytes.len().to_string());
}

/// Starts a submission, and stores an output that is to lie beside its events.
async fn start_with_large_output(app: &TestApp, story: &mut Story) -> ObjectRef {
    story.start().await;
    app.outputs.put(ObjectBucket::Outputs, b"large".to_vec()).await.unwrap()
}

/// Ends it with that output.
async fn end_with(story: &mut Story, object: &ObjectRef) {
    let content = Content::Object(object.clone());
    let stdout = Captured { content, bytes_total: 9, truncated: true };
    story.complete(Completed { stdout, ..completed() }).await;
}

/// Finishes a submission whose output lies beside its events.
async fn finish_with_large_output(app: &TestApp, story: &mut Story) -> ObjectRef {
    let object = start_with_large_output(app, story).await;
    end_with(story, &object).await;
    object
}

#[tokio::test]
async fn an_output_is_kept_for_its_age_and_then_has_expired() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let object = finish_with_large_output(&app, &mut story).await;
    app.clock.advance(Duration::from_secs(10));
    let fresh = app.get(&path(story.id())).await;
    assert_eq!(fresh.body["stdout"], "large");
    assert_eq!(fresh.body.get("stdout_expired"), None);
    assert_eq!(fresh.header("cache-control"), "private, max-age=30");
    let tag = fresh.header("etag").to_owned();

    app.clock.advance(OUTPUTS_AGE.saturating_sub(Duration::from_secs(10)));
    // The answer does not depend on whether the store has removed the object yet.
    let expired = app.get_with(&path(story.id()), &[("if-none-match", &tag)]).await;
    assert_eq!(expired.status, StatusCode::OK);
    assert_ne!(expired.header("etag"), tag);
    assert_eq!(expired.header("cache-control"), FOR_EVER);
    assert_eq!(expired.body["stdout"], Value::Null);
    assert_eq!((&expired.body["stdout_bytes"], &expired.body["stderr"]), (&json!(9), &json!("")));
    let known = json!({ "sha256": object.sha256, "bytes": 5 });
    assert_eq!(expired.body["stdout_expired"], known);
    app.outputs.lose(&object);
    app.outputs.go_away(true);
    assert_eq!(app.get(&path(story.id())).await.body, expired.body);
}

#[tokio::test]
async fn an_output_that_is_lost_before_its_age_is_an_error() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let object = finish_with_large_output(&app, &mut story).await;
    app.outputs.lose(&object);
    assert_eq!(app.get(&path(story.id())).await.slug(), "internal");
}

#[tokio::test]
async fn an_output_that_aged_away_while_its_event_had_to_wait_has_expired() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let object = start_with_large_output(&app, &mut story).await;
    app.clock.advance(OUTPUTS_AGE);
    end_with(&mut story, &object).await;
    let whole = app.get(&path(story.id())).await;
    assert_eq!(whole.body["stdout"], "large", "the store still has it");

    app.outputs.lose(&object);
    let expired = app.get(&path(story.id())).await;
    assert_eq!((expired.status, &expired.body["stdout"]), (StatusCode::OK, &Value::Null));
    let known = json!({ "sha256": object.sha256, "bytes": 5 });
    assert_eq!(expired.body["stdout_expired"], known);
    assert_ne!(expired.header("etag"), whole.header("etag"));
    assert_eq!(expired.header("cache-control"), "private, max-age=40");
    let tag = expired.header("etag").to_owned();
    let same = app.get_with(&path(story.id()), &[("if-none-match", &tag)]).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
}
