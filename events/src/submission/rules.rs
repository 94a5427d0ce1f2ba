//! What is legal, in one place: may this event follow this state?

use super::lifecycle::{Lifecycle, State};
use crate::event::{CaseResult, Event};

/// Why an event is refused. Each is a state of affairs, not a fault.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Rejection {
    /// There is no such submission.
    #[error("the submission was never accepted")]
    NotAccepted,
    /// Its subject has an accepted event already.
    #[error("the submission is accepted already")]
    AlreadyAccepted,
    /// It is over.
    #[error("the submission has ended: {0}")]
    AlreadyEnded(State),
    /// Somebody asked to cancel it: only the cancellation can follow.
    #[error("a cancellation was requested")]
    CancellationPending,
    /// Nobody asked to cancel it.
    #[error("no cancellation was requested")]
    CancellationNotRequested,
    /// Another attempt is under way.
    #[error("attempt {0} is running")]
    AlreadyRunning(u32),
    /// No attempt is under way.
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
        /// The next case.
        expected: u32,
        /// The case that came.
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
            None => same_attempt(before.attempt + 1, started.attempt),
        },
        Event::Compiled(compiled) => {
            running(before, compiled.attempt)?;
            let first = !before.compiled && before.results == 0;
            if first { Ok(()) } else { Err(Rejection::AlreadyCompiled) }
        }
        Event::Judged(judged) => {
            running(before, judged.attempt)?;
            in_order(before, judged.first, &judged.results)
        }
        Event::Lost(lost) => running(before, lost.attempt),
        Event::CancellationRequested(_) => Ok(()),
        Event::Completed(completed) => {
            running(before, completed.attempt)?;
            in_order(before, before.results, &completed.results)
        }
        Event::Failed(failed) => same_attempt(before.attempt, failed.attempts),
        Event::Cancelled(_) => Err(Rejection::CancellationNotRequested),
    }
}

/// Once somebody asked to cancel, the only thing left to say is that it was done.
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

fn running(before: Lifecycle, attempt: u32) -> Result<(), Rejection> {
    let current = before.running_attempt().ok_or(Rejection::NotRunning)?;
    same_attempt(current, attempt)
}

fn same_attempt(expected: u32, got: u32) -> Result<(), Rejection> {
    if expected == got { Ok(()) } else { Err(Rejection::WrongAttempt { expected, got }) }
}

fn in_order(before: Lifecycle, first: u32, results: &[CaseResult]) -> Result<(), Rejection> {
    let next = before.results;
    if first != next {
        return Err(Rejection::ResultsOutOfOrder { expected: next, got: first });
    }
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
