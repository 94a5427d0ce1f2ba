//! `?wait=`: the request is held until the state changes, the time is over, or the service stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Answer, StaleStore, Story, TestApp, accepted, case_result, path, with_cases};

/// Asks with `wait` while something else happens.
async fn held(app: &TestApp, story: &Story, wait: &str) -> (Answer, Duration) {
    let began = Instant::now();
    let answer = app.get(&format!("{}?wait={wait}", path(story.id()))).await;
    (answer, began.elapsed())
}

/// Asks with a long wait while the submission ends, and returns how long the answer took.
async fn ends_while_asked(app: &TestApp, mut story: Story) -> Duration {
    let url = format!("{}?wait=30", path(story.id()));
    let ending = async {
        settle().await;
        story.finish().await;
    };
    let began = Instant::now();
    let (answer, ()) = tokio::join!(app.get(&url), ending);
    assert_eq!(answer.state(), "completed");
    began.elapsed()
}

/// Lets the request that is already there come to its wait.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_ends_the_wait_at_once() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    let id = story.id();
    let change = async {
        settle().await;
        story.start().await;
    };
    let began = Instant::now();
    let url = format!("{}?wait=30", path(id));
    let (answer, ()) = app.fed(async { tokio::join!(app.get(&url), change) }).await;
    assert_eq!(answer.state(), "running");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_time_gives_what_is_known() {
    let app = TestApp::new();
    let story = app.story().await;
    app.project(story.id()).await;
    let (answer, elapsed) = held(&app, &story, "1.5").await;
    assert_eq!((answer.state(), elapsed), ("accepted", Duration::from_millis(1_500)));
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_waited_for() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.finish().await;
    let (answer, elapsed) = held(&app, &story, "30").await;
    assert_eq!((answer.state(), elapsed), ("completed", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn results_of_single_cases_do_not_end_the_wait() {
    let app = TestApp::new();
    let mut story = Story::begin(&app.ledger, with_cases(accepted("ada"), 2)).await;
    story.start().await;
    app.project(story.id()).await;
    let id = story.id();
    let judge = async {
        settle().await;
        story.judge(0, vec![case_result(0, events::Verdict::Accepted)]).await;
    };
    let url = format!("{}?wait=5", path(id));
    let began = Instant::now();
    let (answer, ()) = app.fed(async { tokio::join!(app.get(&url), judge) }).await;
    assert_eq!((answer.state(), began.elapsed()), ("running", Duration::from_secs(5)));
    assert_eq!(answer.body["cases"].as_array().unwrap().len(), 1, "the answer is the newest");
}

#[tokio::test(start_paused = true)]
async fn without_announcements_the_ledger_is_looked_at() {
    let app = TestApp::new();
    let story = app.story().await;
    app.results.go_away(true);
    app.waiters.set_fed(false);
    assert!(ends_while_asked(&app, story).await <= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_a_poll_was_not_told_the_next_one_reads() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    let url = format!("{}?wait=30", path(story.id()));
    let end = async {
        settle().await;
        story.finish().await;
    };
    let (untold, ()) = tokio::join!(app.get(&url), end);
    assert_eq!(untold.state(), "accepted");
    app.project(untold.body["id"].as_str().unwrap().parse().unwrap()).await;
    let began = Instant::now();
    assert_eq!((app.get(&url).await.state(), began.elapsed()), ("completed", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_stale_ledger_does_not_take_back_what_a_waiter_knows() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let stale = StaleStore::of(&app.store).await;
    story.start().await;
    app.project(story.id()).await;
    let app = app.reading(stale);
    app.seen.begin_at(0);
    // While it is not told anything, it reads the ledger twice a second.
    let (answer, elapsed) = held(&app, &story, "3").await;
    assert_eq!((answer.state(), elapsed), ("running", Duration::from_secs(3)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_an_older_version_is_answered_at_once() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let url = format!("{}?wait=30", path(story.id()));
    let old = app.get(&path(story.id())).await.header("etag").to_owned();
    story.start().await;
    app.project(story.id()).await;
    let began = Instant::now();
    let answer = app.get_with(&url, &[("if-none-match", &old)]).await;
    assert_eq!((answer.state(), began.elapsed()), ("running", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_this_version_waits_and_gets_304_if_nothing_changes() {
    let app = TestApp::new();
    let story = app.story().await;
    app.project(story.id()).await;
    let tag = app.get(&path(story.id())).await.header("etag").to_owned();
    let began = Instant::now();
    let url = format!("{}?wait=2", path(story.id()));
    let answer = app.get_with(&url, &[("if-none-match", &tag)]).await;
    assert_eq!((answer.status.as_u16(), began.elapsed()), (304, Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn the_stop_of_the_service_ends_every_wait() {
    let app = TestApp::new();
    let story = app.story().await;
    let stop = async {
        settle().await;
        app.stop.cancel();
    };
    let (held, ()) = tokio::join!(held(&app, &story, "30"), stop);
    assert_eq!((held.0.state(), held.1), ("accepted", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn anothers_submission_is_404_without_a_wait() {
    let app = TestApp::new();
    let story = app.story().await;
    let began = Instant::now();
    let answer = app.get_as("bob", &format!("{}?wait=30", path(story.id()))).await;
    assert_eq!((answer.slug(), began.elapsed()), ("not-found", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_wait_for_one_and_all_are_woken() {
    let app = Arc::new(TestApp::new());
    let mut story = app.story().await;
    app.project(story.id()).await;
    let url = format!("{}?wait=30", path(story.id()));
    let change = async {
        settle().await;
        story.finish().await;
    };
    let began = Instant::now();
    let waiting = futures::future::join_all((0..1_000).map(|_| app.get(&url)));
    let (answers, ()) = app.fed(async { tokio::join!(waiting, change) }).await;
    assert!(answers.iter().all(|answer| answer.state() == "completed"));
    assert_eq!(began.elapsed(), Duration::ZERO);
}
