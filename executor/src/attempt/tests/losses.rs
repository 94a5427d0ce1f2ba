//! Attempts that are lost: by whom, who begins the next one, and when there is none.

use std::sync::Arc;
use std::time::Duration;

use events::State;
use events::event::{Event, FailureClass, LostReason};
use ledger::Held;

use super::{ACK_WAIT, Stage, id};
use crate::attempt::next_step::ATTEMPTS_EVER;
use crate::testing::{Act, Chorus, Said, Script, accepted, prints};

#[tokio::test(start_paused = true)]
async fn the_attempt_of_a_dead_executor_is_lost_and_the_next_one_runs() {
    // One that is silent for long enough is as good as dead: it may be stopped for ever.
    for (answer, reason, seconds) in [
        (Held::Gone, LostReason::ExecutorGone, 3..5),
        (Held::Silent, LostReason::ExecutorGone, 45..50),
        (Held::No, LostReason::NotHeld, 0..1),
    ] {
        let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(answer))).await;
        stage.other_starts(2, 1).await;
        let took = stage.deliver_until_done(&Script::new([])).await;
        assert!(seconds.contains(&took.as_secs()), "{answer:?}: {took:?}");
        assert_eq!(stage.kinds().await, ["accepted", "started", "lost", "started", "completed"]);
        let submission = stage.submission().await;
        assert_eq!(submission.attempts[0].lost.unwrap().reason, reason);
        assert_eq!(stage.completed().await.attempt, 2);
    }
}

#[tokio::test]
async fn what_is_found_lost_goes_back_to_an_executor_with_a_place() {
    let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(Held::No))).await;
    stage.other_starts(2, 1).await;
    let script = Script::new([]);
    assert_eq!(stage.deliver(2, &script).await, [Said::Nak(Duration::ZERO)]);
    assert_eq!((*script.taken.lock().unwrap(), *script.given_back.lock().unwrap()), (0, 1));
    assert_eq!(stage.kinds().await, ["accepted", "started", "lost"]);
}

#[tokio::test(start_paused = true)]
async fn a_question_to_an_absent_executor_takes_no_place_and_no_time() {
    let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(Held::Silent))).await;
    stage.other_starts(2, 1).await;
    let (script, began) = (Script::new([]), tokio::time::Instant::now());
    assert!(matches!(stage.deliver(2, &script).await[..], [Said::Nak(_)]));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!((*script.taken.lock().unwrap(), *script.given_back.lock().unwrap()), (0, 1));
    assert_eq!(stage.kinds().await, ["accepted", "started"]);
}

#[tokio::test]
async fn what_this_life_began_and_does_not_hold_is_begun_anew() {
    let stage = Stage::with(accepted("python")).await;
    stage.other_starts(1, 1).await;
    assert_eq!(stage.deliver(2, &Script::new([])).await, [Said::Ack]);
    let submission = stage.submission().await;
    assert_eq!(submission.attempts[0].lost.unwrap().reason, LostReason::NotHeld);
    assert_eq!(submission.attempts.len(), 2);
}

#[tokio::test]
async fn a_dead_cell_costs_an_attempt_and_not_the_submission() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Die { oom_killed: false }]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "lost", "started", "completed"]);
    let lost = stage.submission().await.attempts[0].lost.unwrap();
    assert_eq!(lost.reason, LostReason::CellDied);
}

#[tokio::test]
async fn after_its_second_loss_a_submission_asks_to_run_alone() {
    for losses in 0..3 {
        let stage = Stage::with(accepted("python")).await;
        for attempt in 1..=losses {
            stage.other_starts(2, attempt).await;
            stage.lose(attempt, LostReason::ExecutorGone).await;
        }
        let script = Script::new([]);
        assert_eq!(stage.deliver(2, &script).await, [Said::Ack]);
        assert_eq!(*script.ran_alone.lock().unwrap(), losses == 2, "{losses} losses");
    }
}

#[tokio::test]
async fn a_submission_that_kills_every_cell_is_given_up() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new(vec![Act::Die { oom_killed: false }; 9]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    let Some(Event::Failed(failed)) = stage.events().await.pop() else { panic!("it did not fail") };
    assert_eq!((failed.class, failed.attempts), (FailureClass::AttemptsExhausted, 3));
    assert_eq!(*script.taken.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_fenced_executor_reports_nothing() {
    let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(Held::Yes))).await;
    let script = Script::new([Act::EndAfter(Duration::from_millis(50), Box::new(prints(b"mine")))]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    // Somebody took us for dead and began the next attempt.
    stage.lose(1, LostReason::ExecutorGone).await;
    stage.other_starts(2, 2).await;
    running.await.unwrap();
    assert_eq!(memo.said(), [Said::Nak(ACK_WAIT)]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "lost", "started"]);
    assert_eq!(*script.in_use.lock().unwrap(), 0);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_handed_back() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    stage.deliveries.hand_back.cancel();
    running.await.unwrap();
    assert_eq!(memo.said(), [Said::Nak(Duration::ZERO)]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "lost"]);
    let lost = stage.submission().await.attempts[0].lost.unwrap();
    assert_eq!(lost.reason, LostReason::HandedBack);
    assert_eq!(*script.in_use.lock().unwrap(), 0);
    assert!(!stage.deliveries.held.contains(id()));
}

#[tokio::test]
async fn handing_back_does_not_use_attempts_up() {
    let stage = Stage::with(accepted("python")).await;
    for attempt in 1..=20 {
        stage.other_starts(2, attempt).await;
        stage.lose(attempt, LostReason::HandedBack).await;
    }
    let script = Script::new([]);
    assert_eq!(stage.deliver(2, &script).await, [Said::Ack]);
    assert_eq!(stage.completed().await.attempt, 21);
    assert!(!*script.ran_alone.lock().unwrap());
}

#[tokio::test]
async fn a_submission_that_is_handed_around_for_ever_is_given_up() {
    let stage = Stage::with(accepted("python")).await;
    for attempt in 1..=ATTEMPTS_EVER {
        stage.other_starts(2, attempt).await;
        stage.lose(attempt, LostReason::HandedBack).await;
    }
    assert_eq!(stage.deliver(2, &Script::new([])).await, [Said::Ack]);
    assert_eq!(stage.submission().await.state, State::Failed);
}
