//! What a writer may append: the event that it wants, if that is legal, and what follows from the
//! event.

use super::lifecycle::Lifecycle;
use super::rules::{Rejection, advance};
use super::state::Submission;
use crate::event::{Cancelled, Event};

/// Decides what a writer appends that wants `event` to happen, or returns why the event may not
/// happen.
///
/// Only a request for cancellation leads to more than itself: if nothing runs, the cancellation
/// follows at once.
pub fn decide(submission: Option<&Submission>, event: Event) -> Result<Vec<Event>, Rejection> {
    let before = submission.map(Submission::lifecycle);
    let after = advance(before, &event)?;
    let cancelled = cancelled_at_once(after, &event);
    Ok(std::iter::once(event).chain(cancelled).collect())
}

/// Returns the cancellation that follows a request for it at once. While an attempt runs, its
/// executor cancels.
fn cancelled_at_once(after: Lifecycle, event: &Event) -> Option<Event> {
    let Event::CancellationRequested(request) = event else { return None };
    // With no executor at work, no other part would ever carry the cancellation out.
    let idle = after.running_attempt().is_none();
    idle.then(|| Event::Cancelled(Cancelled { by: request.by.clone() }))
}
