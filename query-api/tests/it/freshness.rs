//! Where an answer comes from, and that no poller sees a step back (I8).

use axum::http::StatusCode;

use crate::support::{TestApp, path};

#[tokio::test]
async fn what_the_view_does_not_have_yet_is_folded_from_the_ledger() {
    let app = TestApp::new();
    let story = app.story().await;
    assert_eq!(app.get(&path(story.id())).await.state(), "accepted");
}

#[tokio::test]
async fn what_the_view_has_is_answered_without_the_ledger() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    app.project(story.id()).await;
    let reads = app.store.reads();
    let answer = app.get(&format!("{}?min_seq={}", path(story.id()), story.sequence())).await;
    assert_eq!(answer.state(), "running");
    assert_eq!(app.store.reads(), reads);
}

#[tokio::test]
async fn a_view_behind_min_seq_is_passed_over() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    story.start().await;
    assert_eq!(app.get(&path(story.id())).await.state(), "accepted");
    let answer = app.get(&format!("{}?min_seq={}", path(story.id()), story.sequence())).await;
    assert_eq!(answer.state(), "running");
}

#[tokio::test]
async fn a_view_that_has_passed_min_seq_elsewhere_is_not_behind() {
    let app = TestApp::new();
    let story = app.story().await;
    let other = app.story().await;
    app.project(story.id()).await;
    let reads = app.store.reads();
    let answer = app.get(&format!("{}?min_seq={}", path(story.id()), other.sequence())).await;
    assert_eq!((answer.state(), app.store.reads()), ("accepted", reads));
}

#[tokio::test]
async fn after_an_answer_from_the_ledger_an_older_view_is_passed_over() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    story.finish().await;
    app.results.go_away(true);
    assert_eq!(app.get(&path(story.id())).await.state(), "completed");
    // Postgres is back, and the projector has not caught up yet.
    app.results.go_away(false);
    assert_eq!(app.get(&path(story.id())).await.state(), "completed");
    app.project(story.id()).await;
    let reads = app.store.reads();
    assert_eq!(app.get(&path(story.id())).await.state(), "completed");
    assert_eq!(app.store.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn rather_503_than_a_step_back() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    story.start().await;
    let running = app.get(&format!("{}?min_seq={}", path(story.id()), story.sequence())).await;
    assert_eq!(running.state(), "running");
    app.store.go_away(true);
    let answer = app.get(&path(story.id())).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"));
}

#[tokio::test]
async fn without_postgres_single_submissions_are_folded() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.finish().await;
    app.results.go_away(true);
    let answer = app.get(&path(story.id())).await;
    assert_eq!((answer.status, answer.state()), (StatusCode::OK, "completed"));
    let unknown = app.get("/v1/submissions/018f2f5e-0000-7000-8000-000000000000").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_impossible_row_is_passed_over_too() {
    let app = TestApp::new();
    let story = app.story().await;
    app.results.break_rows();
    assert_eq!(app.get(&path(story.id())).await.state(), "accepted");
    assert_eq!(app.get("/v1/submissions").await.slug(), "internal");
}

#[tokio::test(start_paused = true)]
async fn without_nats_the_view_answers_what_it_can() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.finish().await;
    app.project(story.id()).await;
    let late = app.story().await;
    app.store.go_away(true);
    let far = format!("{}?min_seq={}", path(story.id()), u64::MAX);
    assert_eq!(app.get(&far).await.state(), "completed", "what has ended is never behind");
    let answer = app.get(&path(late.id())).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), "2");
}
