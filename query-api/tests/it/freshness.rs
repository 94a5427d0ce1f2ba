//! Where an answer comes from, and that no poller sees a step back (I8).

use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use tokio::time::Instant;

use crate::support::{Answer, CrowdedStore, StaleStore, TestApp, path};

/// Checks that the client is told to come back, and soon.
fn is_put_off(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), "2");
}

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

#[tokio::test]
async fn what_the_feed_has_told_of_is_not_answered_older_by_the_view() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    let mut witness = app.waiters.wait_for(story.id()).unwrap();
    app.fed(async {
        witness.changed().await;
        // Another process may have answered this one to a client that comes here next.
        story.start().await;
        witness.changed().await;
        assert_eq!(app.get(&path(story.id())).await.state(), "running");
    })
    .await;
}

#[tokio::test]
async fn a_restart_takes_nothing_back_that_was_answered_before() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    app.project(story.id()).await;
    story.complete(crate::support::completed()).await;
    app.results.go_away(true);
    assert_eq!(app.get(&path(story.id())).await.state(), "completed");
    app.results.go_away(false);

    let app = app.restarted();
    assert_eq!(app.get(&path(story.id())).await.state(), "completed", "before it is fed");
    let mut witness = app.waiters.wait_for(story.id()).unwrap();
    app.fed(async {
        witness.changed().await;
        assert_eq!(app.get(&path(story.id())).await.state(), "completed", "while it is fed");
    })
    .await;
}

#[tokio::test]
async fn after_a_restart_a_view_that_has_everything_is_believed() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    app.project(story.id()).await;
    let app = app.restarted();
    let mut witness = app.waiters.wait_for(story.id()).unwrap();
    app.fed(async {
        witness.changed().await;
        let reads = app.store.reads();
        assert_eq!(app.get(&path(story.id())).await.state(), "running");
        assert_eq!(app.store.reads(), reads);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn before_the_end_of_the_ledger_is_known_only_an_end_is_believed() {
    let before = TestApp::new();
    let (mut running, mut ended) = (before.story().await, before.story().await);
    running.start().await;
    ended.finish().await;
    before.project(running.id()).await;
    before.project(ended.id()).await;
    let app = before.restarted();
    app.store.go_away(true);
    assert_eq!(app.get(&path(ended.id())).await.state(), "completed");
    is_put_off(&app.get(&path(running.id())).await);
}

#[tokio::test(start_paused = true)]
async fn a_stale_ledger_answers_no_404_to_a_client_that_has_a_sequence() {
    let app = TestApp::new();
    let stale = StaleStore::of(&app.store).await;
    let story = app.story().await;
    let app = app.reading(stale.clone());
    app.seen.begin_at(0);
    let (began, url) =
        (Instant::now(), format!("{}?min_seq={}", path(story.id()), story.sequence()));
    is_put_off(&app.get(&url).await);
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    stale.catch_up();
    assert_eq!(app.get(&url).await.state(), "accepted");
}

#[tokio::test(start_paused = true)]
async fn a_stale_ledger_answers_nothing_older_than_what_was_answered() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let stale = StaleStore::of(&app.store).await;
    story.start().await;
    let app = app.reading(stale.clone());
    app.seen.begin_at(0);
    is_put_off(&app.get(&format!("{}?min_seq={}", path(story.id()), story.sequence())).await);
    // The feed has told of the start, and a stale leader is asked then.
    app.seen.note(story.id(), story.sequence());
    is_put_off(&app.get(&path(story.id())).await);
    stale.catch_up();
    assert_eq!(app.get(&path(story.id())).await.state(), "running");
}

#[tokio::test]
async fn min_seq_may_be_the_sequence_of_another_submission() {
    let app = TestApp::new();
    let (story, other) = (app.story().await, app.story().await);
    let answer = app.get(&format!("{}?min_seq={}", path(story.id()), other.sequence())).await;
    assert_eq!(answer.state(), "accepted");
    let unknown = "/v1/submissions/018f2f5e-0000-7000-8000-000000000000";
    let answer = app.get(&format!("{unknown}?min_seq={}", other.sequence())).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_min_seq_that_the_ledger_has_not_reached_is_put_off() {
    let app = TestApp::new();
    let story = app.story().await;
    is_put_off(&app.get(&format!("{}?min_seq=99", path(story.id()))).await);
}

#[tokio::test(start_paused = true)]
async fn a_slow_view_holds_no_poll() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.finish().await;
    app.project(story.id()).await;
    app.results.be_slow();
    let began = Instant::now();
    assert_eq!(app.get(&path(story.id())).await.state(), "completed");
    assert!(began.elapsed() < Duration::from_millis(50), "it took {:?}", began.elapsed());
    app.store.go_away(true);
    assert_eq!(app.get(&path(story.id())).await.state(), "completed", "it is all there is");
}

#[tokio::test(start_paused = true)]
async fn a_min_seq_far_above_the_end_is_put_off_after_one_look() {
    let app = TestApp::new();
    let story = app.story().await;
    let (began, reads) = (Instant::now(), app.store.reads());
    is_put_off(&app.get(&format!("{}?min_seq={}", path(story.id()), u64::MAX)).await);
    // The submission's two subjects, and the end of the ledger.
    assert_eq!((began.elapsed(), app.store.reads() - reads), (Duration::ZERO, 3));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_requests_read_the_ledger_at_once() {
    let app = TestApp::new();
    let story = app.story().await;
    let crowded = CrowdedStore::of(&app.store);
    let app = app.reading(crowded.clone());
    let (one, events) = (path(story.id()), format!("{}/events", path(story.id())));
    let folds = join_all((0..200).map(|_| app.get(&one)));
    let records = join_all((0..200).map(|_| app.get(&events)));
    let (folds, records) = tokio::join!(folds, records);
    assert!(folds.iter().chain(&records).all(|answer| answer.status == StatusCode::OK));
    assert!(crowded.most() <= 64, "{} at once", crowded.most());
}
