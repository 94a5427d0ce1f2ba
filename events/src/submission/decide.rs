//! Commands, and the events that they lead to.

use super::rules::{Rejection, check};
use super::state::{Fold, Submission};
use crate::event::{
    Accepted, CancellationRequested, Cancelled, Compiled, Completed, Event, Failed, Judged, Lost,
    Started,
};

/// What somebody wants to happen to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Take it in.
    Accept(Box<Accepted>),
    /// Begin an attempt.
    Start(Started),
    /// Record what the compiler said.
    RecordCompilation(Compiled),
    /// Record results of cases before the last are known.
    RecordResults(Judged),
    /// Give a lost attempt up.
    DeclareLost(Lost),
    /// Ask for its end. Where nothing runs, that is its end.
    RequestCancellation(CancellationRequested),
    /// Carry a requested cancellation out.
    Cancel(Cancelled),
    /// Record the verdict.
    Complete(Box<Completed>),
    /// Give the submission up.
    Fail(Failed),
}

/// Decides what `command` makes of a submission: one or more events, or the reason why it may not.
pub fn decide(fold: &Fold, command: Command) -> Result<Vec<Event>, Rejection> {
    let submission = fold.submission.as_ref();
    let events = events_of(submission, command);
    if let Some(first) = events.first() {
        check(submission, first)?;
    }
    Ok(events)
}

fn events_of(submission: Option<&Submission>, command: Command) -> Vec<Event> {
    match command {
        Command::Accept(accepted) => vec![Event::Accepted(accepted)],
        Command::Start(started) => vec![Event::Started(started)],
        Command::RecordCompilation(compiled) => vec![Event::Compiled(compiled)],
        Command::RecordResults(judged) => vec![Event::Judged(judged)],
        Command::DeclareLost(lost) => vec![Event::Lost(lost)],
        Command::RequestCancellation(request) => {
            // With no executor at work nobody else would ever carry it out.
            let idle = submission.is_some_and(|submission| submission.running_attempt().is_none());
            let cancelled = idle.then(|| Event::Cancelled(Cancelled { by: request.by.clone() }));
            std::iter::once(Event::CancellationRequested(request)).chain(cancelled).collect()
        }
        Command::Cancel(cancelled) => vec![Event::Cancelled(cancelled)],
        Command::Complete(completed) => vec![Event::Completed(completed)],
        Command::Fail(failed) => vec![Event::Failed(failed)],
    }
}
