//! The feed: who waits is woken by what the ledger says.

use std::sync::Arc;
use std::time::Duration;

use events::Verdict;
use query_api::long_poll::{Feed, Waiter};

use crate::support::{Story, TestApp, accepted, case_result, path, with_cases};

const SOON: Duration = Duration::from_secs(10);

async fn woken(waiter: &mut Waiter) {
    tokio::time::timeout(SOON, waiter.changed()).await.expect("nobody woke the waiter");
}

/// Runs a test beside a feed of the app's ledger.
async fn fed(app: &TestApp, test: impl Future<Output = ()>) {
    let feed = Feed::new(app.ledger.clone(), Arc::clone(&app.waiters)).run(app.stop.clone());
    tokio::select! {
        () = test => {}
        () = feed => panic!("the feed has ended"),
    }
}

#[tokio::test]
async fn a_change_of_state_wakes_those_who_wait_for_it_and_a_result_does_not() {
    let app = TestApp::new();
    let mut story = Story::begin(&app.ledger, with_cases(accepted("ada"), 2)).await;
    let mut other = app.story().await;
    let (mut first, mut second) =
        (app.waiters.wait_for(story.id()).unwrap(), app.waiters.wait_for(other.id()).unwrap());
    fed(&app, async {
        // Everyone is woken once, when the feed begins.
        woken(&mut first).await;
        woken(&mut second).await;
        story.start().await;
        woken(&mut first).await;
        story.judge(0, vec![case_result(0, Verdict::Accepted)]).await;
        other.start().await;
        woken(&mut second).await;
        // The feed is in order, so a waking by the result would be there by now.
        assert!(futures::FutureExt::now_or_never(first.changed()).is_none());
    })
    .await;
}

#[tokio::test]
async fn who_waits_hears_of_the_end_without_any_view() {
    let app = TestApp::new();
    let mut story = app.story().await;
    app.project(story.id()).await;
    let mut waiter = app.waiters.wait_for(story.id()).unwrap();
    fed(&app, async {
        woken(&mut waiter).await;
        let url = format!("{}?wait=30", path(story.id()));
        let (answer, ()) = tokio::join!(app.get(&url), story.finish());
        assert_eq!(answer.state(), "completed");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_announced_before_the_wait_is_in_the_first_look() {
    let app = TestApp::new();
    let mut story = app.story().await;
    // The view stands here while the rest is announced.
    app.project(story.id()).await;
    let mut waiter = app.waiters.wait_for(story.id()).unwrap();
    fed(&app, async {
        story.finish().await;
        while app.waiters.heard() < story.sequence() {
            woken(&mut waiter).await;
        }
        let began = tokio::time::Instant::now();
        let answer = app.get(&format!("{}?wait=30", path(story.id()))).await;
        assert_eq!((answer.state(), began.elapsed()), ("completed", Duration::ZERO));
    })
    .await;
}

#[tokio::test]
async fn a_ledger_that_goes_away_is_heard_of_again() {
    let app = TestApp::new();
    let mut story = app.story().await;
    let mut waiter = app.waiters.wait_for(story.id()).unwrap();
    app.store.go_away(true);
    app.waiters.set_fed(false);
    fed(&app, async {
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
