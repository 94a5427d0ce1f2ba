//! Every pair of state and wanted event: what is decided, or why not. Given, when, then.

use events::submission::{Attempt, decide};
use events::testing as sample;
use events::{Event, Fold, Rejection, State, submission};

/// A history that leads to a state, and how the state is called here.
fn given(events: impl IntoIterator<Item = Event>) -> Fold {
    let fold = sample::record(events).iter().fold(Fold::default(), submission::apply);
    assert_eq!(fold.violations, 0, "a history that is given is legal");
    fold
}

fn accepted() -> Event {
    Event::Accepted(Box::new(sample::accepted_with_cases(3)))
}

fn started(attempt: u32) -> Event {
    Event::Started(sample::started(attempt))
}

fn cancel_requested() -> Event {
    Event::CancellationRequested(sample::cancellation_requested())
}

fn histories() -> Vec<(&'static str, Vec<Event>)> {
    let running = vec![accepted(), started(1)];
    let then = |event: Event| [running.clone(), vec![event]].concat();
    vec![
        ("absent", vec![]),
        ("accepted", vec![accepted()]),
        ("running", running.clone()),
        ("compiled", then(Event::Compiled(sample::compiled(1)))),
        ("judged", then(Event::Judged(sample::judged(1, 0, 1)))),
        ("lost", then(Event::Lost(sample::lost(1)))),
        (
            "running again",
            [running.clone(), vec![Event::Lost(sample::lost(1)), started(2)]].concat(),
        ),
        ("cancelling", then(cancel_requested())),
        ("completed", then(Event::Completed(Box::new(sample::completed_with_cases(1, 0, 3))))),
        ("failed", then(Event::Failed(sample::failed(1)))),
        ("cancelled", vec![accepted(), cancel_requested(), Event::Cancelled(sample::cancelled())]),
    ]
}

fn wanted() -> Vec<(&'static str, Event)> {
    vec![
        ("accept", Event::Accepted(Box::new(sample::accepted()))),
        ("start 1", Event::Started(sample::started(1))),
        ("start 2", Event::Started(sample::started(2))),
        ("compiled 1", Event::Compiled(sample::compiled(1))),
        ("results 0.. of 1", Event::Judged(sample::judged(1, 0, 1))),
        ("results 1.. of 1", Event::Judged(sample::judged(1, 1, 1))),
        ("results 0.. of 2", Event::Judged(sample::judged(2, 0, 1))),
        ("results past the end", Event::Judged(sample::judged(1, 0, 4))),
        ("lost 1", Event::Lost(sample::lost(1))),
        ("request cancellation", Event::CancellationRequested(sample::cancellation_requested())),
        ("cancel", Event::Cancelled(sample::cancelled())),
        ("complete 1", Event::Completed(Box::new(sample::completed(1)))),
        ("complete 2", Event::Completed(Box::new(sample::completed(2)))),
        ("fail after 0", Event::Failed(sample::failed(0))),
        ("fail after 1", Event::Failed(sample::failed(1))),
        ("fail after 2", Event::Failed(sample::failed(2))),
    ]
}

/// What is legal, by hand: state, wanted event, appended events. Every other pair is a rejection.
const LEGAL: &[(&str, &str, &[&str])] = &[
    ("absent", "accept", &["submission.accepted"]),
    ("accepted", "start 1", &["execution.started"]),
    ("accepted", "request cancellation", &["cancellation.requested", "submission.cancelled"]),
    ("accepted", "fail after 0", &["execution.failed"]),
    ("running", "compiled 1", &["execution.compiled"]),
    ("running", "results 0.. of 1", &["execution.judged"]),
    ("running", "lost 1", &["execution.lost"]),
    ("running", "request cancellation", &["cancellation.requested"]),
    ("running", "complete 1", &["execution.completed"]),
    ("running", "fail after 1", &["execution.failed"]),
    ("compiled", "results 0.. of 1", &["execution.judged"]),
    ("compiled", "lost 1", &["execution.lost"]),
    ("compiled", "request cancellation", &["cancellation.requested"]),
    ("compiled", "complete 1", &["execution.completed"]),
    ("compiled", "fail after 1", &["execution.failed"]),
    ("judged", "results 1.. of 1", &["execution.judged"]),
    ("judged", "lost 1", &["execution.lost"]),
    ("judged", "request cancellation", &["cancellation.requested"]),
    ("judged", "complete 1", &["execution.completed"]),
    ("judged", "fail after 1", &["execution.failed"]),
    ("lost", "start 2", &["execution.started"]),
    ("lost", "request cancellation", &["cancellation.requested", "submission.cancelled"]),
    ("lost", "fail after 1", &["execution.failed"]),
    ("running again", "results 0.. of 2", &["execution.judged"]),
    ("running again", "request cancellation", &["cancellation.requested"]),
    ("running again", "complete 2", &["execution.completed"]),
    ("running again", "fail after 2", &["execution.failed"]),
    ("cancelling", "cancel", &["submission.cancelled"]),
];

#[test]
fn every_pair_of_state_and_event_is_decided_as_the_table_says() {
    for (state, history) in histories() {
        let fold = given(history);
        for (name, event) in wanted() {
            let legal = LEGAL
                .iter()
                .find(|(s, c, _)| (*s, *c) == (state, name))
                .map(|(_, _, kinds)| *kinds);
            let decided = decide(fold.submission.as_ref(), event);
            let kinds = decided
                .as_ref()
                .ok()
                .map(|events| events.iter().map(Event::kind).collect::<Vec<_>>());
            assert_eq!(kinds.as_deref(), legal, "{state}: {name}: {decided:?}");
        }
    }
}

#[test]
fn every_row_of_the_table_names_a_state_and_an_event() {
    for (state, event, _) in LEGAL {
        assert!(histories().iter().any(|(name, _)| name == state), "no state {state}");
        assert!(wanted().iter().any(|(name, _)| name == event), "no event {event}");
    }
}

#[test]
fn rejections_say_what_is_the_case() {
    let rejection =
        |events: Vec<Event>, event| decide(given(events).submission.as_ref(), event).unwrap_err();
    let running = vec![accepted(), started(1)];
    let start = |attempt| Event::Started(sample::started(attempt));
    let complete = |attempt| Event::Completed(Box::new(sample::completed(attempt)));
    let done = [running.clone(), vec![Event::Completed(Box::new(sample::completed(1)))]].concat();

    assert_eq!(rejection(vec![], start(1)), Rejection::NotAccepted);
    assert_eq!(rejection(running.clone(), start(2)), Rejection::AlreadyRunning(1));
    assert_eq!(
        rejection(vec![accepted()], start(2)),
        Rejection::WrongAttempt { expected: 1, got: 2 }
    );
    assert_eq!(rejection(vec![accepted()], complete(1)), Rejection::NotRunning);
    assert_eq!(
        rejection(running.clone(), complete(2)),
        Rejection::WrongAttempt { expected: 1, got: 2 }
    );
    assert_eq!(
        rejection(running.clone(), Event::Judged(sample::judged(1, 2, 1))),
        Rejection::ResultsOutOfOrder { expected: 0, got: 2 }
    );
    assert_eq!(
        rejection(running.clone(), Event::Judged(sample::judged(1, 0, 4))),
        Rejection::TooManyResults(3)
    );
    assert_eq!(rejection(done, start(2)), Rejection::AlreadyEnded(State::Completed));
    assert_eq!(
        rejection([running, vec![cancel_requested()]].concat(), complete(1)),
        Rejection::CancellationPending
    );
}

#[test]
fn a_lost_attempt_leaves_no_results_behind_and_the_state_does_not_step_back() {
    let history = vec![
        accepted(),
        started(1),
        Event::Compiled(sample::compiled(1)),
        Event::Judged(sample::judged(1, 0, 2)),
        Event::Lost(sample::lost(1)),
    ];
    let lost = given(history.clone()).submission.unwrap();
    assert_eq!((lost.state, lost.running_attempt()), (State::Running, None));

    let again = given([history, vec![started(2)]].concat()).submission.unwrap();
    assert_eq!((again.results.len(), again.compiled), (0, None));
    assert_eq!(
        again.attempts.iter().map(|attempt: &Attempt| attempt.number).collect::<Vec<_>>(),
        [1, 2]
    );
}

#[test]
fn an_illegal_event_in_the_history_is_counted_and_ignored() {
    let legal = given([accepted(), started(1)]);
    let records = sample::record([accepted(), started(1), started(1), accepted()]);
    let fold = records.iter().fold(Fold::default(), submission::apply);
    assert_eq!(fold.violations, 2);
    let (mut with, without) = (fold.submission.unwrap(), legal.submission.unwrap());
    assert_eq!(with.sequence, 4, "a reader that waits for this sequence has seen it");
    with.sequence = without.sequence;
    assert_eq!(with, without);
}
