//! Submissions of a language that is not here.

use events::State;
use events::event::{Accepted, Event, FailureClass};

use super::{DAY, HOUR, SECOND, Stage};
use crate::testing::{Said, Script, accepted};

/// A submission that was accepted under another version of Python than the one here.
fn accepted_at(version: &str) -> Accepted {
    let mut submission = accepted("python");
    submission.language.version = version.to_owned();
    submission
}

#[tokio::test]
async fn a_submission_of_another_version_is_handed_on_and_costs_no_cell() {
    let moved = Accepted { pool: "extra".parse().unwrap(), ..accepted("python") };
    for submission in [accepted_at("3.99"), accepted_at("3.1"), accepted("cobol"), moved] {
        let stage = Stage::with(submission).await;
        let script = Script::new([]);
        assert_eq!(stage.deliver(1, &script).await, [Said::Nak(2 * SECOND)]);
        assert_eq!(stage.deliver(2, &script).await, [Said::Nak(4 * SECOND)]);
        assert_eq!(stage.kinds().await, ["accepted"]);
        assert_eq!(*script.taken.lock().unwrap(), 0);
    }
}

#[tokio::test]
async fn what_is_handed_on_can_be_cancelled() {
    let stage = Stage::with(accepted_at("3.99")).await;
    stage.request_cancellation().await;
    assert_eq!(stage.deliver(2, &Script::new([])).await, [Said::Ack]);
    assert_eq!(stage.submission().await.state, State::Cancelled);
}

#[tokio::test]
async fn a_submission_that_no_executor_has_the_language_of_is_given_up_after_a_day() {
    let stage = Stage::with(accepted_at("3.99")).await;
    let script = Script::new([]);
    stage.clock.advance(DAY);
    assert_eq!(stage.deliver(9, &script).await, [Said::Nak(60 * SECOND)]);
    stage.clock.advance(SECOND);
    assert_eq!(stage.deliver(9, &script).await, [Said::Ack]);
    let Some(Event::Failed(failed)) = stage.events().await.pop() else { panic!("it did not fail") };
    assert_eq!((failed.class, failed.attempts), (FailureClass::Unrunnable, 0));
    assert!(failed.reason.contains("3.99"), "{}", failed.reason);
    assert_eq!(*script.taken.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_runs_what_no_executor_had_the_version_of_for_an_hour() {
    let stage = Stage::with(accepted_at("3.1")).await;
    stage.pass(HOUR, &["3.1"]).await;
    assert!(matches!(stage.deliver(2, &Script::new([])).await[..], [Said::Nak(_)]));
    stage.pass(3_599 * SECOND, &[]).await;
    assert!(matches!(stage.deliver(3, &Script::new([])).await[..], [Said::Nak(_)]));
    stage.pass(SECOND, &[]).await;
    assert_eq!(stage.deliver(4, &Script::new([])).await, [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "completed"]);
    // The record has both: what was accepted, and what ran.
    let submission = stage.submission().await;
    let ran = submission.attempts[0].language_version.as_str();
    assert_eq!((submission.language.version.as_str(), ran), ("3.1", "3.11"));
}

#[tokio::test(start_paused = true)]
async fn an_older_version_or_a_forbidden_newer_one_never_runs() {
    let mut forbidden = Stage::with(accepted_at("3.1")).await;
    forbidden.deliveries.context.settings.newer_version_after = None;
    for stage in [forbidden, Stage::with(accepted_at("3.99")).await] {
        stage.pass(DAY, &[]).await;
        assert!(matches!(stage.deliver(2, &Script::new([])).await[..], [Said::Nak(_)]));
    }
}
