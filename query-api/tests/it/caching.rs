//! Entity tags, 304, Cache-Control and HEAD.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};

use crate::support::{TestApp, bearer, path};

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
