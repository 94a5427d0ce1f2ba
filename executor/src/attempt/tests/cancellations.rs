//! Cancellations, at every step of a submission.

use std::time::Duration;

use events::State;

use super::{ACK_WAIT, Stage, id};
use crate::testing::{Act, Said, Script, accepted, prints};

#[tokio::test]
async fn a_cancellation_stops_the_cell_at_once() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    stage.request_cancellation().await;
    stage.deliveries.held.ring(id());
    running.await.unwrap();
    assert_eq!(memo.said(), [Said::Ack]);
    assert_eq!(stage.submission().await.state, State::Cancelled);
    assert_eq!(*script.in_use.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_whose_signal_is_lost_is_seen_a_heartbeat_later() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    stage.request_cancellation().await;
    let asked_at = tokio::time::Instant::now();
    running.await.unwrap();
    assert!(asked_at.elapsed() <= ACK_WAIT / 3);
    assert_eq!(memo.said().last(), Some(&Said::Ack));
    assert_eq!(stage.submission().await.state, State::Cancelled);
}

#[tokio::test]
async fn a_cancellation_that_wins_the_last_race_discards_the_verdict() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::EndAfter(Duration::from_millis(50), Box::new(prints(b"ok")))]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    // No bell: the executor finds out when it appends its verdict.
    stage.request_cancellation().await;
    running.await.unwrap();
    assert_eq!(memo.said(), [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "requested", "cancelled"]);
}

#[tokio::test]
async fn a_cancellation_that_was_only_requested_is_carried_out() {
    let stage = Stage::with(accepted("python")).await;
    stage.other_starts(2, 1).await;
    stage.request_cancellation().await;
    let script = Script::new([]);
    assert_eq!(stage.deliver(2, &script).await, [Said::Ack]);
    assert_eq!(stage.submission().await.state, State::Cancelled);
    assert_eq!(*script.taken.lock().unwrap(), 0);
}
