//! What is legal, in one place: may this event follow this state?

use super::state::{State, Submission};
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

/// Tells whether `event` may follow `submission`.
pub(super) fn check(submission: Option<&Submission>, event: &Event) -> Result<(), Rejection> {
    let Some(submission) = submission else {
        return if matches!(event, Event::Accepted(_)) {
            Ok(())
        } else {
            Err(Rejection::NotAccepted)
        };
    };
    if matches!(event, Event::Accepted(_)) {
        return Err(Rejection::AlreadyAccepted);
    }
    match submission.state {
        State::Accepted | State::Running => check_live(submission, event),
        State::Cancelling => check_cancelling(event),
        ended @ (State::Completed | State::Failed | State::Cancelled) => {
            Err(Rejection::AlreadyEnded(ended))
        }
    }
}

fn check_live(submission: &Submission, event: &Event) -> Result<(), Rejection> {
    match event {
        Event::Accepted(_) => Err(Rejection::AlreadyAccepted),
        Event::Started(started) => match submission.running_attempt() {
            Some(running) => Err(Rejection::AlreadyRunning(running.number)),
            None => same_attempt(submission.next_attempt(), started.attempt),
        },
        Event::Compiled(compiled) => {
            running(submission, compiled.attempt)?;
            let first = submission.compiled.is_none() && submission.results.is_empty();
            if first { Ok(()) } else { Err(Rejection::AlreadyCompiled) }
        }
        Event::Judged(judged) => {
            running(submission, judged.attempt)?;
            in_order(submission, judged.first, &judged.results)
        }
        Event::Lost(lost) => running(submission, lost.attempt),
        Event::CancellationRequested(_) => Ok(()),
        Event::Completed(completed) => {
            running(submission, completed.attempt)?;
            in_order(submission, next_case(submission), &completed.results)
        }
        Event::Failed(failed) => same_attempt(
            submission.attempts.last().map_or(0, |attempt| attempt.number),
            failed.attempts,
        ),
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

fn running(submission: &Submission, attempt: u32) -> Result<(), Rejection> {
    let current = submission.running_attempt().ok_or(Rejection::NotRunning)?;
    same_attempt(current.number, attempt)
}

fn same_attempt(expected: u32, got: u32) -> Result<(), Rejection> {
    if expected == got { Ok(()) } else { Err(Rejection::WrongAttempt { expected, got }) }
}

fn next_case(submission: &Submission) -> u32 {
    u32::try_from(submission.results.len()).unwrap_or(u32::MAX)
}

fn in_order(submission: &Submission, first: u32, results: &[CaseResult]) -> Result<(), Rejection> {
    let next = next_case(submission);
    if first != next {
        return Err(Rejection::ResultsOutOfOrder { expected: next, got: first });
    }
    for (expected, result) in (next..).zip(results) {
        if result.case != expected {
            return Err(Rejection::ResultsOutOfOrder { expected, got: result.case });
        }
        if result.case >= submission.case_count {
            return Err(Rejection::TooManyResults(submission.case_count));
        }
    }
    Ok(())
}
