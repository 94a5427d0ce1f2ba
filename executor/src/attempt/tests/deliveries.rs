//! What the queue is told, whatever happens to it, to the ledger and to their answers.

use std::sync::Arc;
use std::time::Duration;

use events::Content;
use ledger::Held;
use ledger::memory::Mishap;

use super::{ACK_WAIT, Stage};
use crate::testing::{Act, Chorus, Said, Script, accepted, prints};

#[tokio::test]
async fn the_end_is_acknowledged_again_and_nothing_is_run() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([]);
    stage.deliver(1, &script).await;
    for delivered in [1, 2] {
        let script = Script::new([]);
        assert_eq!(stage.deliver(delivered, &script).await, [Said::Ack]);
    }
    assert_eq!(stage.kinds().await, ["accepted", "started", "completed"]);
    // A redelivery is seen through before a cell is used.
    let again = Script::new([]);
    stage.deliver(2, &again).await;
    assert_eq!(*again.taken.lock().unwrap(), 0);
}

#[tokio::test]
async fn an_old_submission_is_read_before_a_cell_is_taken() {
    let stage = Stage::with(accepted("python")).await;
    stage.deliver(1, &Script::new([])).await;
    stage.clock.advance(Duration::from_secs(1));
    // A durable that was made anew delivers it for the first time.
    let script = Script::new([]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    assert_eq!(*script.taken.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_new_submission_is_not_read_before_it_is_begun() {
    let stage = Stage::with(accepted("python")).await;
    let (reads, script) = (stage.store.reads(), Script::new([Act::Hang]));
    let (running, _memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    assert_eq!(stage.store.reads(), reads);
    running.abort();
}

#[tokio::test]
async fn a_lost_race_leaves_the_submission_to_the_winner() {
    let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(Held::Yes))).await;
    stage.other_starts(2, 1).await;
    let script = Script::new([]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Nak(ACK_WAIT)]);
    assert_eq!(stage.kinds().await, ["accepted", "started"]);
    assert_eq!(*script.in_use.lock().unwrap(), 0);
}

#[tokio::test]
async fn our_own_redelivery_is_left_alone() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    assert_eq!(stage.deliver(2, &script).await, []);
    assert_eq!(stage.kinds().await, ["accepted", "started"]);
    running.abort();
    assert_eq!(memo.said(), []);
}

#[tokio::test(start_paused = true)]
async fn the_heart_beats_by_the_ack_wait_that_is_in_force() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    tokio::time::sleep(ACK_WAIT / 4).await;
    assert_eq!(memo.said(), []);
    // Another executor has set a shorter one, under which this job is overdue.
    let short = Duration::from_secs(3);
    stage.deliveries.ack_wait.set(short);
    let mut heard = 0;
    for _ in 0..10 {
        tokio::time::sleep(short / 3).await;
        let said = memo.said().len();
        assert!(said > heard, "no heartbeat in a third of the wait");
        heard = said;
    }
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_while_the_ledger_is_full() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::EndAfter(Duration::from_secs(1), Box::new(prints(b"kept")))]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    stage.store.arrange(vec![Mishap::Full; 12]);
    running.await.unwrap();
    let completed = stage.completed().await;
    assert_eq!(completed.stdout.content, Content::Text("kept".to_owned()));
    // The queue was told all the while that the submission is alive.
    let said = memo.said();
    assert_eq!(said.last(), Some(&Said::Ack));
    assert!(said.iter().filter(|said| **said == Said::InProgress).count() >= 3, "{said:?}");
    assert_eq!(*script.taken.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_leads_to_one_end() {
    for mishaps in [
        vec![Mishap::AnswerLost],
        vec![Mishap::RequestLost, Mishap::AnswerLost],
        vec![Mishap::Away, Mishap::InFlight, Mishap::RequestLost],
    ] {
        let stage = Stage::with(accepted("python")).await;
        stage.store.arrange(mishaps.clone());
        let wait = Act::EndAfter(Duration::from_secs(30), Box::new(prints(b"ok")));
        let (running, memo) = stage.deliver_in_background(&Script::new([wait]));
        running.await.unwrap();
        assert_eq!(memo.said().last(), Some(&Said::Ack));
        assert_eq!(stage.kinds().await, ["accepted", "started", "completed"], "{mishaps:?}");
    }
}
