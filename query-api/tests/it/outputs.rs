//! Outputs that are too large for an event: sent in pieces, and bounded in memory.

use std::time::Duration;

use axum::body::Body;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use events::event::Completed;
use events::{Captured, Content, ObjectBucket};
use futures::TryStreamExt as _;
use ledger::ObjectStore as _;
use serde_json::Value;
use tokio::time::timeout;

use crate::support::{Answer, OUTPUT_KIB_MAX, Story, TestApp, bearer, completed, get, path};

const KIB: usize = 1_024;

/// A submission that has printed so many KiB of control characters, each of which takes six bytes
/// of JSON.
async fn printed(app: &TestApp, kib: u32) -> Story {
    let mut story = app.story().await;
    story.start().await;
    let bytes = vec![1; kib as usize * KIB];
    let object = app.outputs.put(ObjectBucket::Outputs, bytes).await.unwrap();
    let bytes_total = object.bytes;
    let stdout = Captured { content: Content::Object(object), bytes_total, truncated: false };
    story.complete(Completed { stdout, ..completed() }).await;
    story
}

fn ask(story: &Story) -> Request<Body> {
    get(&path(story.id()), &bearer("ada", "submit"), &[])
}

/// Asks for a submission, and returns as soon as its body could be read.
async fn begun(app: &TestApp, story: &Story) -> Option<Response> {
    timeout(Duration::from_secs(1), app.begin(ask(story))).await.ok()
}

#[tokio::test]
async fn a_large_output_is_sent_in_pieces() {
    let app = TestApp::new();
    let story = printed(&app, 900).await;
    let response = app.begin(ask(&story)).await;
    let pieces: Vec<_> = response.into_body().into_data_stream().try_collect().await.unwrap();
    let longest = pieces.iter().map(Bytes::len).max().unwrap();
    assert!(longest <= 128 * KIB, "a piece has {longest} bytes");
    let body: Value = serde_json::from_slice(&pieces.concat()).unwrap();
    assert_eq!(body["stdout"].as_str().unwrap().len(), 900 * KIB);
    assert_eq!(
        (&body["verdict"], &body["stdout_bytes"]),
        (&"finished".into(), &(900 * KIB).into())
    );
}

#[tokio::test(start_paused = true)]
async fn large_outputs_take_turns_until_they_are_sent_and_small_ones_do_not_wait() {
    let app = TestApp::new();
    let (first, second) = (printed(&app, 700).await, printed(&app, 701).await);
    let mut small = app.story().await;
    small.finish().await;

    let held = begun(&app, &first).await.unwrap();
    assert!(begun(&app, &second).await.is_none(), "there is no memory for it");
    assert_eq!(app.get(&path(small.id())).await.state(), "completed");

    Answer::of(held).await;
    assert_eq!(begun(&app, &second).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_gives_its_memory_back() {
    let app = TestApp::new();
    let (first, second) = (printed(&app, 700).await, printed(&app, 701).await);
    drop(begun(&app, &first).await.unwrap());
    assert_eq!(begun(&app, &second).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn without_memory_for_long_the_client_is_told_to_come_back() {
    let app = TestApp::new();
    let (first, second) = (printed(&app, 700).await, printed(&app, 701).await);
    let _held = begun(&app, &first).await.unwrap();
    let answer = app.send(ask(&second)).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), "2");
}

#[tokio::test]
async fn an_output_that_is_larger_than_all_memory_goes_alone() {
    let app = TestApp::new();
    let story = printed(&app, OUTPUT_KIB_MAX + 1).await;
    assert_eq!(app.begin(ask(&story)).await.status(), StatusCode::OK);
}
