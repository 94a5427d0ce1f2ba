//! The work on one submission: step after step, each decided by what stands in the ledger, until its end stands there or
//! it is somebody else's.

use std::time::Duration;

use events::envelope::Writer;
use events::event::{Accepted, Cancelled, Completed, Failed, FailureClass, LostReason};
use events::{BootId, Event, SubmissionId, Verdict};
use ledger::{Aggregate, Held as Answer, Ledger};
use metrics::{counter, histogram};
use sandbox::languages::Catalog;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use super::appending::AppendError;
use super::held::Claim;
use super::next::{Next, next};
use super::running::{AttemptError, Order};
use super::settle::{Identity, Settings};
use crate::metrics::{ATTEMPTS_LOST, RUN_SECONDS, RUNS, SUBMISSIONS_CANCELLED, SUBMISSIONS_FAILED};
use crate::run::plan::Plan;
use crate::runner::{Blobs, Peers, Runner};

/// Steps in one delivery. Each is an append or a question, so more means that somebody undoes what we do.
const STEPS_MAX: u32 = 64;
/// When an executor that does not answer is asked again, or a ledger that cannot be read is read again.
const SILENT_DELAY: Duration = Duration::from_secs(2);
/// How often an executor is asked that does not answer. It has missed its heartbeats already, and whoever is silent for all this
/// time is held to be gone: were it only stopped, its next append would find the place taken.
const SILENT_ASKS_MAX: u32 = 15;
/// When a submission is looked at again that could not be settled for a fault that only an operator can mend.
const FAULT_DELAY: Duration = Duration::from_mins(1);
/// How long handing a submission back may take.
const HAND_BACK_TIME_MAX: Duration = Duration::from_secs(5);

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is settled.
    Acknowledge,
    /// It is somebody else's, or nobody's at present: see again after a while.
    Later(Duration),
}

/// Everything that one submission's work needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) blobs: &'a dyn Blobs,
    pub(super) peers: &'a dyn Peers,
    pub(super) catalog: &'a Catalog,
    pub(super) identity: &'a Identity,
    pub(super) settings: Settings,
    pub(super) writer: &'a Writer,
    pub(super) runner: &'a dyn Runner,
}

impl Work<'_> {
    /// Takes step after step until there is nothing left to do.
    pub(super) async fn settle(
        &self,
        aggregate: &mut Aggregate,
        fresh: bool,
        claim: &Claim,
    ) -> End {
        // The delivered event tells nothing of what came after it; a first delivery is most likely the first there is.
        let mut stale = !fresh;
        for _ in 0..STEPS_MAX {
            if stale && let Err(end) = self.look_again(aggregate).await {
                return end;
            }
            match self.step(aggregate, claim).await {
                Ok(None) => stale = false,
                Ok(Some(end)) => return end,
                Err(AttemptError::TakenAway(rejection)) => {
                    info!(
                        rejection = rejection.map(|r| r.to_string()),
                        "the submission was taken away"
                    );
                    stale = true;
                }
                Err(fault) => {
                    error!(
                        error = &fault as &dyn std::error::Error,
                        "the submission cannot be settled"
                    );
                    return End::Later(FAULT_DELAY);
                }
            }
        }
        error!("the submission does not come to an end");
        End::Later(FAULT_DELAY)
    }

    async fn look_again(&self, aggregate: &mut Aggregate) -> Result<(), End> {
        match self.ledger.load_at(&aggregate.subject).await {
            Ok(Some(found)) => {
                *aggregate = found;
                Ok(())
            }
            Ok(None) => {
                error!("a delivered submission is not in the ledger");
                Err(End::Later(FAULT_DELAY))
            }
            Err(unreadable) => {
                error!(
                    error = &unreadable as &dyn std::error::Error,
                    "the submission cannot be read"
                );
                Err(End::Later(SILENT_DELAY))
            }
        }
    }

    /// Takes the next step. Returns the end when there is no further one.
    async fn step(
        &self,
        aggregate: &mut Aggregate,
        claim: &Claim,
    ) -> Result<Option<End>, AttemptError> {
        let (Some(submission), Some(accepted)) =
            (aggregate.submission(), aggregate.accepted.clone())
        else {
            error!("a delivered submission was never accepted");
            return Ok(Some(End::Later(FAULT_DELAY)));
        };
        match next(submission, self.identity.boot, self.settings.attempts_max) {
            Next::Acknowledge => return Ok(Some(End::Acknowledge)),
            Next::Cancel => self.cancel(aggregate).await?,
            Next::GiveUp(attempts) => {
                let reason = format!("{attempts} attempts were lost");
                self.fail(aggregate, FailureClass::AttemptsExhausted, reason).await?;
            }
            Next::Reclaim(attempt) => {
                self.declare_lost(aggregate, attempt, LostReason::NotHeld).await?;
            }
            Next::Ask { attempt, boot } => {
                let reason = match self.ask(boot, claim.id()).await {
                    Answer::Yes => return Ok(Some(End::Later(self.settings.ack_wait))),
                    Answer::No => LostReason::NotHeld,
                    Answer::Gone | Answer::Silent => LostReason::ExecutorGone,
                };
                self.declare_lost(aggregate, attempt, reason).await?;
            }
            Next::Start(number) => self.start(aggregate, number, &accepted, claim).await?,
        }
        Ok(None)
    }

    /// Begins an attempt and brings it to an end, be it its own or the submission's.
    async fn start(
        &self,
        aggregate: &mut Aggregate,
        number: u32,
        accepted: &Accepted,
        claim: &Claim,
    ) -> Result<(), AttemptError> {
        let began = Instant::now();
        let plan = match Plan::of(accepted, self.catalog) {
            Ok(plan) => plan,
            Err(unrunnable) => {
                return self
                    .fail(aggregate, FailureClass::Unrunnable, unrunnable.to_string())
                    .await;
            }
        };
        let order = Order { number, accepted, plan: &plan };
        let attempt = Box::pin(self.attempt(aggregate, order, claim));
        match attempt.await {
            Ok(completed) => {
                let verdict = completed.verdict;
                self.complete(aggregate, completed).await?;
                note_run(accepted, number, verdict, began.elapsed());
                Ok(())
            }
            Err(AttemptError::Cell(lost)) => {
                warn!(
                    error = &lost as &dyn std::error::Error,
                    attempt = number,
                    "the cell was lost"
                );
                self.declare_lost(aggregate, number, LostReason::CellDied).await
            }
            Err(AttemptError::Content(missing)) => {
                error!(
                    error = &missing as &dyn std::error::Error,
                    "the submission is not here in full"
                );
                self.fail(aggregate, FailureClass::Unrunnable, missing.to_string()).await
            }
            Err(other) => Err(other),
        }
    }

    /// Records the verdict. An outcome that the ledger never takes is the platform's failure.
    async fn complete(
        &self,
        aggregate: &mut Aggregate,
        completed: Completed,
    ) -> Result<(), AttemptError> {
        match self.append(aggregate, Event::Completed(Box::new(completed))).await {
            Err(AppendError::Refused(refused)) => {
                error!(
                    error = &refused as &dyn std::error::Error,
                    "the outcome does not fit into the ledger"
                );
                let reason = format!("the outcome does not fit into the ledger: {refused}");
                self.fail(aggregate, FailureClass::Unrunnable, reason).await
            }
            appended => Ok(appended?),
        }
    }

    async fn cancel(&self, aggregate: &mut Aggregate) -> Result<(), AttemptError> {
        let by = self.writer.actor.clone();
        self.append(aggregate, Event::Cancelled(Cancelled { by })).await?;
        counter!(SUBMISSIONS_CANCELLED).increment(1);
        Ok(())
    }

    async fn fail(
        &self,
        aggregate: &mut Aggregate,
        class: FailureClass,
        reason: String,
    ) -> Result<(), AttemptError> {
        let last = aggregate.submission().and_then(|submission| submission.attempts.last());
        let attempts = last.map_or(0, |attempt| attempt.number);
        let label = match class {
            FailureClass::AttemptsExhausted => "attempts_exhausted",
            FailureClass::Unrunnable => "unrunnable",
        };
        self.append(aggregate, Event::Failed(Failed { class, reason, attempts })).await?;
        counter!(SUBMISSIONS_FAILED, "class" => label).increment(1);
        Ok(())
    }

    /// Asks the executor that started the running attempt whether it still holds it.
    async fn ask(&self, boot: BootId, id: SubmissionId) -> Answer {
        for _ in 1..SILENT_ASKS_MAX {
            match self.peers.ask(boot, id).await {
                Answer::Silent => sleep(SILENT_DELAY).await,
                answer @ (Answer::Yes | Answer::No | Answer::Gone) => return answer,
            }
        }
        self.peers.ask(boot, id).await
    }

    async fn declare_lost(
        &self,
        aggregate: &mut Aggregate,
        attempt: u32,
        reason: LostReason,
    ) -> Result<(), AttemptError> {
        self.append(aggregate, self.lost(attempt, reason)).await?;
        note_lost(reason);
        Ok(())
    }

    /// Gives a submission back: its attempt, if one runs here, is lost, and the queue may deliver it at once.
    pub(super) async fn hand_back(&self, aggregate: &mut Aggregate) -> End {
        let handing_back = async {
            self.look_again(aggregate).await.ok()?;
            let running = aggregate.submission()?.running_attempt()?;
            let ours = running.boot_id == self.identity.boot;
            let attempt = ours.then_some(running.number)?;
            self.declare_lost(aggregate, attempt, LostReason::HandedBack).await.ok()
        };
        // Whoever gets it next finds us gone, should this not come to pass.
        let handed_back = timeout(HAND_BACK_TIME_MAX, handing_back).await;
        info!(lost = matches!(handed_back, Ok(Some(()))), "the submission is handed back");
        End::Later(Duration::ZERO)
    }
}

fn note_run(accepted: &Accepted, attempt: u32, verdict: Verdict, elapsed: Duration) {
    let elapsed_ms = elapsed.as_secs_f64() * 1_000.0;
    info!(attempt, verdict = verdict.as_str(), elapsed_ms, "submission completed");
    let language = accepted.language.slug.to_string();
    counter!(RUNS, "language" => language.clone(), "verdict" => verdict.as_str()).increment(1);
    histogram!(RUN_SECONDS, "language" => language).record(elapsed);
}

fn note_lost(reason: LostReason) {
    let label = match reason {
        LostReason::ExecutorGone => "executor_gone",
        LostReason::NotHeld => "not_held",
        LostReason::CellDied => "cell_died",
        LostReason::HandedBack => "handed_back",
    };
    counter!(ATTEMPTS_LOST, "reason" => label).increment(1);
}
