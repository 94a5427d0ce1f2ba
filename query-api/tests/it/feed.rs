//! The feed: who waits is told what the ledger says, and what it says is noted.

use std::time::Duration;

use events::Verdict;
use futures::FutureExt as _;
use query_api::long_poll::Waiter;
use tokio::time::Instant;

use crate::support::{Story, TestApp, accepted, case_result, path, with_cases};

const SOON: Duration = Duration::from_secs(10);

async fn woken(waiter: &mut Waiter) {
    tokio::time::timeout(SOON, waiter.changed()).await.expect("nobody woke the waiter");
}

#[tokio::test]
async fn a_change_of_state_wakes_those_who_wait_for_it_and_a_result_does_not() {
    let app = TestApp::new();
    let mut story = Story::begin(&app.ledger, with_cases(accepted("ada"), 2)).await;
    let mut other = app.story().await;
    let (mut first, mut second) =
        (app.waiters.wait_for(story.id()).unwrap(), app.waiters.wait_for(other.id()).unwrap());
    app.fed(async {
        // Everyone is woken once, when the feed begins.
        woken(&mut first).await;
        woken(&mut second).await;
        story.start().await;
        woken(&mut first).await;
        story.judge(0, vec![case_result(0, Verdict::Accepted)]).await;
        other.start().await;
        woken(&mut second).await;
        // The feed is in order, so a waking by the result would be there by now.
        assert!(first.changed().now_or_never().is_none());
    })
    .await;
}

#[tokio::test]
async fn who_waits_hears_of_the_end_without_any_view() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    let mut waiter = app.waiters.wait_for(story.id()).unwrap();
    app.fed(async {
        woken(&mut waiter).await;
        let url = format!("{}?wait=30", path(story.id()));
        let (answer, ()) = tokio::join!(app.get(&url), story.finish());
        assert_eq!(answer.state(), "completed");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_told_before_the_wait_is_in_the_first_read() {
    let app = TestApp::new();
    let mut story = app.story().await;
    // The view stands here while the rest is told.
    app.project(story.id()).await;
    let mut waiter = app.waiters.wait_for(story.id()).unwrap();
    app.fed(async {
        woken(&mut waiter).await;
        story.finish().await;
        // The start, and the end.
        woken(&mut waiter).await;
        let began = Instant::now();
        let answer = app.get(&format!("{}?wait=30", path(story.id()))).await;
        assert_eq!((answer.state(), began.elapsed()), ("completed", Duration::ZERO));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_reads_nothing_from_its_first_read_to_its_answer() {
    let app = TestApp::new();
    let mut story = Story::begin(&app.ledger, with_cases(accepted("ada"), 2)).await;
    story.start().await;
    app.project(story.id()).await;
    let mut witness = app.waiters.wait_for(story.id()).unwrap();
    app.fed(async {
        woken(&mut witness).await;
        let reads = app.store.reads();
        // For less time than the feed is silent before it looks for itself.
        let url = format!("{}?wait=3", path(story.id()));
        let quiet = app.get(&url).await;
        assert_eq!((quiet.state(), app.store.reads()), ("running", reads), "nothing happened");

        let ending = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            story.judge(0, vec![case_result(0, Verdict::Accepted)]).await;
            let judged = judged_by_one();
            story.complete(judged).await;
        };
        let (answer, ()) = tokio::join!(app.get(&url), ending);
        assert_eq!(answer.state(), "completed");
        assert_eq!(answer.body["cases"].as_array().unwrap().len(), 2, "folded from the feed");
        // A writer reads nothing that it has written itself.
        assert_eq!(app.store.reads(), reads);
    })
    .await;
}

fn judged_by_one() -> events::event::Completed {
    crate::support::judged(1, 2, vec![case_result(1, Verdict::RuntimeError)])
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_while_the_ledger_was_away_is_read_once() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    let mut witness = app.waiters.wait_for(story.id()).unwrap();
    let url = format!("{}?wait=30", path(story.id()));
    // The request waits for a feed that was there and has gone.
    app.waiters.set_fed(true);
    let missed = async {
        // The request comes to its wait.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        story.start().await;
        app.fed(async {
            woken(&mut witness).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        })
        .await;
    };
    let began = Instant::now();
    let (answer, ()) = tokio::join!(app.get(&url), missed);
    assert_eq!(answer.state(), "running");
    assert!(began.elapsed() <= Duration::from_secs(1), "it was told of a gap, and looked");
}

#[tokio::test]
async fn a_ledger_that_goes_away_is_heard_of_again() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let mut waiter = app.waiters.wait_for(story.id()).unwrap();
    app.store.go_away(true);
    app.waiters.set_fed(false);
    app.fed(async {
        tokio::task::yield_now().await;
        assert!(!app.waiters.is_fed());
        app.store.go_away(false);
        woken(&mut waiter).await;
        assert!(app.waiters.is_fed());
        story.start().await;
        woken(&mut waiter).await;
    })
    .await;
}
