//! Folding: what an event makes of a submission. A fold never fails: an illegal event is counted
//! and ignored.

use super::lifecycle::State;
use super::rules::{Rejection, advance};
use super::state::{Attempt, Fold, LostAttempt, Outcome, Submission};
use crate::Timestamp;
use crate::envelope::Recorded;
use crate::event::{Accepted, Completed, Event, Lost, Started, Suite};
use crate::ids::SubmissionId;

/// Folds one recorded event. Every fold of the same events gives the same answer.
#[must_use]
pub fn apply(mut fold: Fold, recorded: &Recorded) -> Fold {
    let Recorded { sequence, stored_at, envelope, digest: _ } = recorded;
    let folded = match (&mut fold.submission, &envelope.event) {
        (Some(submission), _) => submission.fold(recorded),
        (None, Event::Accepted(accepted)) => {
            let begun = Submission::begin(envelope.submission, accepted, *sequence, *stored_at);
            fold.submission = Some(begun);
            Ok(())
        }
        (None, _) => Err(Rejection::NotAccepted),
    };
    // The event is in the ledger and cannot be refused any more. It is counted, so that an audit
    // finds the writer that broke the rules.
    fold.violations = fold.violations.saturating_add(u32::from(folded.is_err()));
    fold
}

impl Submission {
    /// Begins a submission with its accepted event, which was stored at this sequence and time.
    pub fn begin(id: SubmissionId, accepted: &Accepted, sequence: u64, at: Timestamp) -> Self {
        Self {
            id,
            principal: accepted.principal.clone(),
            lane: accepted.lane,
            pool: accepted.pool.clone(),
            language: accepted.language.clone(),
            origin: accepted.origin,
            case_count: accepted.suite.as_ref().map_or(0, Suite::count),
            suite_sha256: accepted.suite.as_ref().map(Suite::sha256),
            request_hash: accepted.request_hash,
            state: State::Accepted,
            attempts: Vec::new(),
            compiled: None,
            results: Vec::new(),
            outcome: None,
            accepted_at: at,
            compiled_at: None,
            cancellation_requested_at: None,
            finished_at: None,
            accepted_sequence: sequence,
            sequence,
        }
    }

    /// Folds a later event. An illegal event changes nothing but the sequence.
    pub fn fold(&mut self, recorded: &Recorded) -> Result<(), Rejection> {
        // Also for an illegal event: a reader that waits for this sequence has seen it.
        self.sequence = self.sequence.max(recorded.sequence);
        let event = &recorded.envelope.event;
        self.state = advance(Some(self.lifecycle()), event)?.state;
        record_details(self, event, recorded.stored_at);
        Ok(())
    }
}

/// Records what a legal event says beyond the state.
fn record_details(submission: &mut Submission, event: &Event, at: Timestamp) {
    match event {
        // `begin` takes this event; in a submission that exists it is illegal.
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
    // What a lost attempt said is not part of the new one.
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
        language_version: started
            .language_version
            .clone()
            .unwrap_or_else(|| submission.language.version.clone()),
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
    // All results stand in one list, whichever event had them. A copy here would be a second one.
    let summary = Completed { results: Vec::new(), ..completed.clone() };
    end(submission, Outcome::Completed(Box::new(summary)), at);
}

fn end(submission: &mut Submission, outcome: Outcome, at: Timestamp) {
    submission.outcome = Some(outcome);
    submission.finished_at = Some(at);
}
