//! A ledger that was set back: nothing is answered from the history that is gone.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::support::{TestApp, path};

#[tokio::test(start_paused = true)]
async fn what_was_lost_with_a_set_back_is_answered_from_no_view() {
    let app = TestApp::new();
    let (kept, mut lost) = (app.story().await, app.story().await);
    lost.finish().await;
    app.project(kept.id()).await;
    app.project(lost.id()).await;
    let mut witness = app.waiters.wait_for(kept.id()).unwrap();
    app.fed(async {
        witness.changed().await;
        assert_eq!(app.get(&path(lost.id())).await.state(), "completed");
        app.store.set_back(kept.sequence());
        witness.changed().await;
        assert_eq!(app.get(&path(lost.id())).await.status, StatusCode::NOT_FOUND);
        assert_eq!(app.get(&path(kept.id())).await.state(), "accepted");

        // Rebuilt from the ledger as it is now.
        app.results.clear();
        app.project(kept.id()).await;
        sleep(Duration::from_secs(5)).await;
        let reads = app.store.reads();
        assert_eq!(app.get(&path(kept.id())).await.state(), "accepted");
        assert_eq!(app.store.reads(), reads, "the view is believed again");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_whose_history_goes_is_answered_from_what_is_left() {
    let app = TestApp::new();
    let (mut kept, mut lost) = (app.story().await, app.story().await);
    let left = kept.sequence();
    for story in [&mut kept, &mut lost] {
        story.start().await;
        app.project(story.id()).await;
    }
    let mut witness = app.waiters.wait_for(kept.id()).unwrap();
    let [of_kept, of_lost] = [&kept, &lost].map(|story| format!("{}?wait=30", path(story.id())));
    app.fed(async {
        witness.changed().await;
        let began = Instant::now();
        let setting_back = async { app.store.set_back(left) };
        let (of_kept, of_lost, ()) =
            tokio::join!(app.get(&of_kept), app.get(&of_lost), setting_back);
        assert_eq!((of_kept.state(), of_lost.status), ("accepted", StatusCode::NOT_FOUND));
        assert!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_process_that_starts_after_a_set_back_believes_no_older_view() {
    let app = TestApp::new();
    let (kept, mut lost) = (app.story().await, app.story().await);
    lost.finish().await;
    app.project(lost.id()).await;
    app.store.set_back(kept.sequence());
    let app = app.restarted();
    let mut witness = app.waiters.wait_for(kept.id()).unwrap();
    app.fed(async {
        witness.changed().await;
        assert_eq!(app.get(&path(lost.id())).await.status, StatusCode::NOT_FOUND);
        assert_eq!(app.get(&path(kept.id())).await.state(), "accepted");
    })
    .await;
}
