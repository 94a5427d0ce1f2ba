//! What to do next about a submission, given its fold. Pure.

use events::event::LostReason;
use events::{BootId, State, Submission};

/// Attempts that a submission ever gets, handed-back ones included: what the stream keeps of a
/// subject is bounded. More than a series of deploys takes.
pub const ATTEMPTS_EVER: u32 = 64;
/// After so many attempts that were lost with their executor a submission runs alone. What takes an
/// executor down takes all down that runs there, and redelivery brings the same ones together
/// again: without this, all of them would use up their attempts at once.
const LOSSES_IN_COMPANY: u32 = 2;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum NextStep {
    /// The submission has ended: acknowledge it.
    Acknowledge,
    /// A client asked for its end: carry the cancellation out.
    Cancel,
    /// Begin an attempt.
    Start {
        number: u32,
        /// Whether nothing else may run on this executor meanwhile.
        alone: bool,
    },
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
    // An operator who stops an executor says nothing about the submission.
    let spent = losses(submission, |reason| reason != LostReason::HandedBack);
    let number = submission.next_attempt();
    // Not for cells: a program that ends its own cell takes no other one along.
    let alone = losses(submission, |reason| {
        matches!(reason, LostReason::ExecutorGone | LostReason::NotHeld)
    }) >= LOSSES_IN_COMPANY;
    if spent >= attempts_max || number > ATTEMPTS_EVER {
        return NextStep::GiveUp(number - 1);
    }
    NextStep::Start { number, alone }
}

fn losses(submission: &Submission, counts: impl Fn(LostReason) -> bool) -> u32 {
    let lost = submission.attempts.iter().filter_map(|attempt| attempt.lost);
    u32::try_from(lost.filter(|lost| counts(lost.reason)).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use events::Event;
    use events::event::Lost;
    use events::testing::{BOOT, SUBMISSION, accepted, instant, lost, record, started};

    use super::*;

    const ATTEMPTS_MAX: u32 = 3;

    /// Returns the next step after attempts that were lost for these reasons.
    fn after(losses: impl IntoIterator<Item = LostReason>) -> NextStep {
        let mut events = vec![Event::Accepted(Box::new(accepted()))];
        for (number, reason) in (1..).zip(losses) {
            events.push(Event::Started(started(number)));
            events.push(Event::Lost(Lost { reason, ..lost(number) }));
        }
        let mut submission = Submission::begin(SUBMISSION, &accepted(), 1, instant(0));
        for recorded in &record(events)[1..] {
            submission.fold(recorded).unwrap();
        }
        next_step(&submission, BOOT, ATTEMPTS_MAX)
    }

    #[test]
    fn from_the_second_loss_on_a_submission_runs_alone() {
        let gone = LostReason::ExecutorGone;
        assert_eq!(after([]), NextStep::Start { number: 1, alone: false });
        assert_eq!(after([gone]), NextStep::Start { number: 2, alone: false });
        assert_eq!(after([gone; 2]), NextStep::Start { number: 3, alone: true });
        assert_eq!(after([gone; 3]), NextStep::GiveUp(3));
    }

    #[test]
    fn what_was_handed_back_counts_neither_as_a_loss_nor_against_the_submission() {
        let (gone, back) = (LostReason::ExecutorGone, LostReason::HandedBack);
        assert_eq!(after([back; 40]), NextStep::Start { number: 41, alone: false });
        assert_eq!(after([back, gone, back, gone]), NextStep::Start { number: 5, alone: true });
        assert_eq!(after([back; ATTEMPTS_EVER as usize]), NextStep::GiveUp(ATTEMPTS_EVER));
    }
}
