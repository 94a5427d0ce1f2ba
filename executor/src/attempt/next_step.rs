//! What to do next about a submission, given its fold. Pure.

use events::event::LostReason;
use events::{BootId, State, Submission};

/// Attempts that a submission ever gets, handed-back ones included: what the stream keeps of a
/// subject is bounded.
pub const ATTEMPTS_EVER: u32 = 8;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum NextStep {
    /// The submission has ended: acknowledge it.
    Acknowledge,
    /// A client asked for its end: carry the cancellation out.
    Cancel,
    /// Begin this attempt.
    Start(u32),
    /// It had as many attempts as it gets; this was the last one.
    GiveUp(u32),
    /// Another executor began this attempt: ask whether it still holds the submission.
    Ask {
        attempt: u32,
        /// The executor that began it.
        boot: BootId,
    },
    /// This executor began this attempt and does not hold it any more: declare it lost.
    Reclaim(u32),
}

/// Decides the next step of the executor `me`, to which the queue has delivered the submission and
/// which does not work on it yet.
pub fn next_step(submission: &Submission, me: BootId, attempts_max: u32) -> NextStep {
    match submission.state {
        State::Completed | State::Failed | State::Cancelled => return NextStep::Acknowledge,
        // An executor that still runs it finds the cancellation at its next append, and stops.
        State::Cancelling => return NextStep::Cancel,
        State::Accepted | State::Running => {}
    }
    if let Some(running) = submission.running_attempt() {
        let attempt = running.number;
        // If the attempt still ran here, this delivery would have been dropped. So its work was cut
        // off before it could write the attempt's end.
        return if running.boot_id == me {
            NextStep::Reclaim(attempt)
        } else {
            NextStep::Ask { attempt, boot: running.boot_id }
        };
    }
    let spent = submission.attempts.iter().filter(|attempt| {
        // An operator who stops an executor says nothing about the submission.
        attempt.lost.is_some_and(|lost| lost.reason != LostReason::HandedBack)
    });
    let spent = u32::try_from(spent.count()).unwrap_or(u32::MAX);
    let number = submission.next_attempt();
    if spent >= attempts_max || number > ATTEMPTS_EVER {
        return NextStep::GiveUp(number - 1);
    }
    NextStep::Start(number)
}
