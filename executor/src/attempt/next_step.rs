//! What to do next about a submission, given its fold. Pure.

use events::event::LostReason;
use events::{BootId, State, Submission};

/// Attempts that a submission ever gets, handed-back ones included: what the stream keeps of a
/// subject is bounded.
pub const ATTEMPTS_EVER: u32 = 8;

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// It is over: say so to the queue.
    Acknowledge,
    /// Somebody asked for its end: carry it out.
    Cancel,
    /// Begin this attempt.
    Start(u32),
    /// It had as many attempts as it gets; this was the last one.
    GiveUp(u32),
    /// Another life began this attempt: ask whether it still holds it.
    Ask {
        /// The attempt.
        attempt: u32,
        /// The life that began it.
        boot: BootId,
    },
    /// This very life began this attempt and does not hold it any more.
    Reclaim(u32),
}

/// Decides the next step of `me`, who has been given the submission by the queue and works on
/// nothing of it yet.
pub fn next_step(submission: &Submission, me: BootId, attempts_max: u32) -> NextStep {
    match submission.state {
        State::Completed | State::Failed | State::Cancelled => return NextStep::Acknowledge,
        // Whoever runs it meets the cancellation at his next append, and stops.
        State::Cancelling => return NextStep::Cancel,
        State::Accepted | State::Running => {}
    }
    if let Some(running) = submission.running_attempt() {
        let attempt = running.number;
        return if running.boot_id == me {
            NextStep::Reclaim(attempt)
        } else {
            NextStep::Ask { attempt, boot: running.boot_id }
        };
    }
    let spent = submission.attempts.iter().filter(|attempt| {
        // Handing back is an operator's doing. It says nothing of the submission.
        attempt.lost.is_some_and(|lost| lost.reason != LostReason::HandedBack)
    });
    let spent = u32::try_from(spent.count()).unwrap_or(u32::MAX);
    let number = submission.next_attempt();
    if spent >= attempts_max || number > ATTEMPTS_EVER {
        return NextStep::GiveUp(number - 1);
    }
    NextStep::Start(number)
}
