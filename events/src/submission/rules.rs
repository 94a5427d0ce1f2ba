//! What is legal, in one place: whether an event may follow a state.

use super::lifecycle::{Lifecycle, State};
use crate::event::{CaseResult, Event};

/// Why an event is refused. Each reason is a state of the submission, not a failure.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Rejection {
    /// The submission does not exist.
    #[error("the submission was never accepted")]
    NotAccepted,
    /// Its subject has an accepted event already.
    #[error("the submission is accepted already")]
    AlreadyAccepted,
    /// The submission has ended.
    #[error("the submission has ended: {0}")]
    AlreadyEnded(State),
    /// A cancellation was requested: only the cancellation can follow.
    #[error("a cancellation was requested")]
    CancellationPending,
    /// No cancellation was requested.
    #[error("no cancellation was requested")]
    CancellationNotRequested,
    /// Another attempt runs.
    #[error("attempt {0} is running")]
    AlreadyRunning(u32),
    /// No attempt runs.
    #[error("no attempt is running")]
    NotRunning,
    /// The event belongs to another attempt than the running one.
    #[error("the attempt is {expected}, not {got}")]
    WrongAttempt {
        /// The attempt that may write now.
        expected: u32,
        /// The attempt that tried.
        got: u32,
    },
    /// The attempt has compiled already, or has results already.
    #[error("the attempt has compiled already")]
    AlreadyCompiled,
    /// Results do not follow the ones before them.
    #[error("the next result is of case {expected}, not of case {got}")]
    ResultsOutOfOrder {
        /// The next case without a result.
        expected: u32,
        /// The case that has one.
        got: u32,
    },
    /// More results than cases.
    #[error("there are only {0} cases")]
    TooManyResults(u32),
}

/// Returns the lifecycle after `event`, or why the event may not follow. `before` is absent until
/// the submission is accepted.
pub fn advance(before: Option<Lifecycle>, event: &Event) -> Result<Lifecycle, Rejection> {
    match (before, event) {
        (None, Event::Accepted(accepted)) => Ok(Lifecycle::begin(accepted)),
        (None, _) => Err(Rejection::NotAccepted),
        (Some(_), Event::Accepted(_)) => Err(Rejection::AlreadyAccepted),
        (Some(before), _) => check(before, event).map(|()| before.after(event)),
    }
}

fn check(before: Lifecycle, event: &Event) -> Result<(), Rejection> {
    match before.state {
        State::Accepted | State::Running => check_live(before, event),
        State::Cancelling => check_cancelling(event),
        ended @ (State::Completed | State::Failed | State::Cancelled) => {
            Err(Rejection::AlreadyEnded(ended))
        }
    }
}

fn check_live(before: Lifecycle, event: &Event) -> Result<(), Rejection> {
    match event {
        Event::Accepted(_) => Err(Rejection::AlreadyAccepted),
        Event::Started(started) => match before.running_attempt() {
            Some(running) => Err(Rejection::AlreadyRunning(running)),
            None => expect_attempt(before.attempt + 1, started.attempt),
        },
        Event::Compiled(compiled) => {
            expect_running(before, compiled.attempt)?;
            // An attempt that has results has compiled before them, or needed no compiler.
            let first = !before.compiled && before.results == 0;
            if first { Ok(()) } else { Err(Rejection::AlreadyCompiled) }
        }
        Event::Judged(judged) => {
            expect_running(before, judged.attempt)?;
            expect_in_order(before, judged.first, &judged.results)
        }
        Event::Lost(lost) => expect_running(before, lost.attempt),
        // Also before the first attempt and between two: a client may ask at any time.
        Event::CancellationRequested(_) => Ok(()),
        Event::Completed(completed) => {
            expect_running(before, completed.attempt)?;
            // Fewer results than cases are legal: the run may stop at the first wrong answer.
            expect_in_order(before, before.results, &completed.results)
        }
        // Not only while an attempt runs: the platform gives up between two attempts, or before the
        // first.
        Event::Failed(failed) => expect_attempt(before.attempt, failed.attempts),
        // The request is an event of its own, so that the ledger shows who asked.
        Event::Cancelled(_) => Err(Rejection::CancellationNotRequested),
    }
}

/// Once a cancellation was requested, only the cancellation can follow.
fn check_cancelling(event: &Event) -> Result<(), Rejection> {
    match event {
        Event::Cancelled(_) => Ok(()),
        Event::Accepted(_)
        | Event::Started(_)
        | Event::Compiled(_)
        | Event::Judged(_)
        | Event::Lost(_)
        | Event::CancellationRequested(_)
        | Event::Completed(_)
        | Event::Failed(_) => Err(Rejection::CancellationPending),
    }
}

fn expect_running(before: Lifecycle, attempt: u32) -> Result<(), Rejection> {
    let current = before.running_attempt().ok_or(Rejection::NotRunning)?;
    expect_attempt(current, attempt)
}

fn expect_attempt(expected: u32, got: u32) -> Result<(), Rejection> {
    if expected == got { Ok(()) } else { Err(Rejection::WrongAttempt { expected, got }) }
}

fn expect_in_order(before: Lifecycle, first: u32, results: &[CaseResult]) -> Result<(), Rejection> {
    let next = before.results;
    if first != next {
        return Err(Rejection::ResultsOutOfOrder { expected: next, got: first });
    }
    // Every result is checked: a projection keeps results by their number, and one number twice
    // would lose a result.
    for (expected, result) in (next..).zip(results) {
        if result.case != expected {
            return Err(Rejection::ResultsOutOfOrder { expected, got: result.case });
        }
        if result.case >= before.case_count {
            return Err(Rejection::TooManyResults(before.case_count));
        }
    }
    Ok(())
}
