//! Folding: what an event makes of the state. Total: an illegal event is counted and ignored, never refused.

use super::lifecycle::State;
use super::rules::advance;
use super::state::{Attempt, Fold, LostAttempt, Outcome, Submission};
use crate::Timestamp;
use crate::envelope::Recorded;
use crate::event::{Accepted, Completed, Event, Lost, Started};

/// Folds one recorded event. Every fold of the same events gives the same answer.
#[must_use]
pub fn apply(mut fold: Fold, recorded: &Recorded) -> Fold {
    let event = &recorded.envelope.event;
    let before = fold.submission.as_ref().map(Submission::lifecycle);
    if let Ok(after) = advance(before, event) {
        if let Event::Accepted(accepted) = event {
            fold.submission = Some(begin(accepted, recorded));
        } else if let Some(submission) = &mut fold.submission {
            submission.state = after.state;
            take_in(submission, event, recorded.stored_at);
        }
    } else {
        fold.violations = fold.violations.saturating_add(1);
    }
    if let Some(submission) = &mut fold.submission {
        submission.sequence = submission.sequence.max(recorded.sequence);
    }
    fold
}

fn begin(accepted: &Accepted, recorded: &Recorded) -> Submission {
    Submission {
        id: recorded.envelope.submission,
        principal: accepted.principal.clone(),
        lane: accepted.lane,
        pool: accepted.pool.clone(),
        language: accepted.language.clone(),
        origin: accepted.origin,
        case_count: accepted.suite.as_ref().map_or(0, crate::event::Suite::count),
        suite_sha256: accepted.suite.as_ref().map(crate::event::Suite::sha256),
        request_hash: accepted.request_hash,
        state: State::Accepted,
        attempts: Vec::new(),
        compiled: None,
        results: Vec::new(),
        outcome: None,
        accepted_at: recorded.stored_at,
        compiled_at: None,
        cancellation_requested_at: None,
        finished_at: None,
        accepted_sequence: recorded.sequence,
        sequence: recorded.sequence,
    }
}

/// Takes in what a legal event tells beyond the state.
fn take_in(submission: &mut Submission, event: &Event, at: Timestamp) {
    match event {
        // Handled before: it begins a submission, and is illegal in one.
        Event::Accepted(_) => {}
        Event::Started(started) => start(submission, started, at),
        Event::Compiled(compiled) => {
            submission.compiled = Some(compiled.clone());
            submission.compiled_at = Some(at);
        }
        Event::Judged(judged) => submission.results.extend(judged.results.iter().cloned()),
        Event::Lost(lost) => lose(submission, lost, at),
        Event::CancellationRequested(_) => {
            submission.cancellation_requested_at = Some(at);
        }
        Event::Completed(completed) => complete(submission, completed, at),
        Event::Failed(failed) => end(submission, Outcome::Failed(failed.clone()), at),
        Event::Cancelled(cancelled) => {
            end(submission, Outcome::Cancelled(cancelled.by.clone()), at);
        }
    }
}

fn start(submission: &mut Submission, started: &Started, at: Timestamp) {
    submission.compiled = None;
    submission.compiled_at = None;
    submission.results.clear();
    submission.attempts.push(Attempt {
        number: started.attempt,
        executor: started.executor.clone(),
        boot_id: started.boot_id,
        image: started.image.clone(),
        image_digest: started.image_digest.clone(),
        sandbox_profile: started.sandbox_profile,
        isolation: started.isolation,
        kernel: started.kernel.clone(),
        cpu_model: started.cpu_model.clone(),
        started_at: at,
        lost: None,
    });
}

fn lose(submission: &mut Submission, lost: &Lost, at: Timestamp) {
    if let Some(attempt) = submission.attempts.last_mut() {
        attempt.lost = Some(LostAttempt { reason: lost.reason, at });
    }
}

fn complete(submission: &mut Submission, completed: &Completed, at: Timestamp) {
    submission.results.extend(completed.results.iter().cloned());
    let summary = Completed { results: Vec::new(), ..completed.clone() };
    end(submission, Outcome::Completed(Box::new(summary)), at);
}

fn end(submission: &mut Submission, outcome: Outcome, at: Timestamp) {
    submission.outcome = Some(outcome);
    submission.finished_at = Some(at);
}
