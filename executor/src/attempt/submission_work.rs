//! The work on one submission: step after step, each decided by what stands in the ledger, until
//! the submission's end stands there or another executor has the submission.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::envelope::Writer;
use events::event::{Cancelled, Completed, FailureClass, LostReason};
use events::{BootId, Event};
use ledger::Aggregate;
use metrics::counter;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{error, info};

use super::ack_wait::AckWait;
use super::append::append;
use super::context::ExecutorContext;
use super::held_submissions::Claim;
use super::lost::Holder;
use super::next_step::{NextStep, next_step};
use super::running_attempt::{AttemptError, RunningAttempt};
use super::watching::{Watched, until_taken_away};
use crate::cells::source::CellSource;
use crate::metrics::SUBMISSIONS_CANCELLED;
use crate::run::plan::{Plan, PlanError};
use crate::run::program_run::ProgramRun;

/// Steps in one delivery. Each is an append or a question, so more means that another part undoes
/// what this one does.
const STEPS_MAX: u32 = 64;
/// When a submission is tried again that could not be read: by then the ledger may answer.
const UNREAD_DELAY: Duration = Duration::from_secs(2);
/// When a submission is tried again that met a fault which only an operator can mend.
const FAULT_DELAY: Duration = Duration::from_mins(1);
/// How long handing a submission back may take.
const HAND_BACK_TIME_MAX: Duration = Duration::from_secs(5);
/// Results that may wait to be recorded before the run waits for them.
const PROGRESS_MAX: usize = 64;

/// What the queue is told of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueAnswer {
    /// The submission has ended.
    Acknowledge,
    /// Another executor has it, or no executor can go on with it now: deliver it again after a
    /// while.
    RetryAfter(Duration),
}

/// The work on one submission.
#[derive(Debug)]
pub(super) struct SubmissionWork<'a> {
    pub(super) context: &'a ExecutorContext,
    pub(super) writer: &'a Writer,
    pub(super) claim: &'a Claim,
    pub(super) ack_wait: &'a AckWait,
    pub(super) cells: &'a mut dyn CellSource,
    pub(super) aggregate: Aggregate,
    /// How often it was delivered, as far as the queue remembers.
    pub(super) delivered: u64,
}

impl SubmissionWork<'_> {
    /// Takes step after step until there is nothing left to do here.
    pub(super) async fn bring_to_end(&mut self, is_new: bool) -> QueueAnswer {
        // The delivered event tells nothing of what came after it. A read costs 0.2 ms, which a new
        // submission does not wait for: most likely nothing came after it, and its first append
        // finds out. For an old one an attempt that is in vain would cost a cell.
        let mut is_stale = !is_new;
        for _ in 0..STEPS_MAX {
            if is_stale && let Err(answer) = self.reload().await {
                return answer;
            }
            let (boot, settings) = (self.context.identity.boot, &self.context.settings);
            let step = next_step(&self.aggregate.submission, boot, settings.attempts_max);
            match self.take_step(step).await {
                Ok(Some(answer)) => return answer,
                Ok(None) => is_stale = false,
                Err(AttemptError::TakenAway(rejection)) => {
                    let rejection = rejection.map(|rejection| rejection.to_string());
                    info!(rejection, "the submission was taken away");
                    // What stands in the ledger now decides. It may even be ours to begin again.
                    is_stale = true;
                }
                Err(fault) => {
                    error!(
                        error = &fault as &dyn Error,
                        "the submission cannot be brought to its end"
                    );
                    return QueueAnswer::RetryAfter(FAULT_DELAY);
                }
            }
        }
        error!("the submission does not come to an end");
        QueueAnswer::RetryAfter(FAULT_DELAY)
    }

    /// Takes one step. Returns the answer for the queue if it was the last one here.
    async fn take_step(&mut self, step: NextStep) -> Result<Option<QueueAnswer>, AttemptError> {
        match step {
            NextStep::Acknowledge => return Ok(Some(QueueAnswer::Acknowledge)),
            // Before any attempt: a cancelled submission must not use a cell.
            NextStep::Cancel => self.cancel().await?,
            NextStep::GiveUp(attempts) => {
                let reason = format!("{attempts} attempts were lost");
                self.attempt(attempts).fail(FailureClass::AttemptsExhausted, reason).await?;
            }
            NextStep::Reclaim(number) => {
                self.attempt(number).declare_lost(LostReason::NotHeld).await?;
            }
            NextStep::Ask { attempt, boot } => return self.ask(attempt, boot).await.map(Some),
            NextStep::Start { number, alone } => match self.plan() {
                Ok(plan) => self.make_attempt(number, alone, plan).await?,
                Err(PlanError::NotHere(lack)) => {
                    return self.hand_on_or_give_up(number, lack).await;
                }
                Err(PlanError::Never(reason)) => {
                    let reason = reason.to_string();
                    self.attempt(number).fail(FailureClass::Unrunnable, reason).await?;
                }
            },
        }
        Ok(None)
    }

    /// Asks the executor that began an attempt about it. Returns the answer for the queue.
    async fn ask(&mut self, attempt: u32, boot: BootId) -> Result<QueueAnswer, AttemptError> {
        // A question may take a second, in which others can run here.
        self.cells.give_back();
        let (context, id) = (self.context, self.aggregate.id());
        Ok(QueueAnswer::RetryAfter(
            match context.absent.ask(context.peers.as_ref(), boot, id).await {
                Holder::Lost(reason) => {
                    self.attempt(attempt).declare_lost(reason).await?;
                    // The place was given back, and most likely a fetch waits in it now: it gets the
                    // submission at once, which here would wait for a place.
                    Duration::ZERO
                }
                // By then the other executor has ended it, or has missed its heartbeats.
                Holder::Works => self.ack_wait.get(),
                Holder::Unknown(delay) => delay,
            },
        ))
    }

    async fn make_attempt(
        &mut self,
        number: u32,
        alone: bool,
        plan: Plan,
    ) -> Result<(), AttemptError> {
        let began = Instant::now();
        if alone {
            self.cells.run_alone();
        }
        // Boxed: an attempt's future is large, and the other steps need none of it.
        let ended = Box::pin(self.run_attempt(number, plan)).await;
        self.attempt(number).record_end(ended, began).await
    }

    /// Makes an attempt from its first event to the outcome, which is not in the ledger yet.
    async fn run_attempt(&mut self, number: u32, plan: Plan) -> Result<Completed, AttemptError> {
        let (context, claim, ack_wait) = (self.context, self.claim, self.ack_wait);
        let objects = context.objects.as_ref();
        let accepted = Arc::clone(&self.aggregate.accepted);
        let asked_at = Instant::now();
        let cell = self.cells.take_cell(&plan.image, plan.memory_bytes()).await?;
        let cell_time = asked_at.elapsed();
        let provenance = cell.provenance().clone();
        let subject = self.aggregate.subject.clone();
        let mut attempt = self.attempt(number);
        // Files may be written before `started` is stored, which takes as long as a sync of the
        // ledger's disks. Compiling may not: of two executors that race for the attempt only one
        // may run the submission's code.
        let (started, laid_out) = tokio::join!(
            attempt.append_started(&provenance, plan.language_version.clone()),
            ProgramRun::lay_out(&plan, cell, objects, &accepted),
        );
        started?;
        let run = laid_out?;
        let cases = run.cases();
        let (progress, told) = mpsc::channel(PROGRESS_MAX);
        let running = async {
            // A recorder that may not go on stops the run. A run that is over, well or not, lets
            // the recorder finish.
            let (outcome, results) = tokio::try_join!(
                async { Ok(run.compile_and_run(progress).await) },
                attempt.record_progress(told, cases),
            )?;
            Ok(attempt.store_outcome(outcome?, results, cell_time).await)
        };
        let watched = Watched { subject: &subject, attempt: number, boot: context.identity.boot };
        tokio::select! {
            completed = running => completed,
            () = until_taken_away(&context.ledger, watched, &claim.bell, ack_wait) => {
                Err(AttemptError::TakenAway(None))
            }
        }
    }

    pub(super) fn attempt(&mut self, number: u32) -> RunningAttempt<'_> {
        let (context, writer) = (self.context, self.writer);
        RunningAttempt { context, writer, aggregate: &mut self.aggregate, number }
    }

    /// Carries a requested cancellation out.
    async fn cancel(&mut self) -> Result<(), AttemptError> {
        let cancelled = Event::Cancelled(Cancelled { by: self.writer.actor.clone() });
        append(&self.context.ledger, &mut self.aggregate, &cancelled, self.writer).await?;
        counter!(SUBMISSIONS_CANCELLED).increment(1);
        Ok(())
    }

    /// Gives the submission back: its attempt, if one runs here, is lost, and the queue may deliver
    /// it at once.
    pub(super) async fn hand_back(&mut self) -> QueueAnswer {
        let handing_back = async {
            // The work was cut off at any point, so its last append may be stored or not.
            self.reload().await.ok()?;
            let running = self.aggregate.submission.running_attempt()?;
            let is_ours = running.boot_id == self.context.identity.boot;
            let number = is_ours.then_some(running.number)?;
            self.attempt(number).declare_lost(LostReason::HandedBack).await.ok()
        };
        // If this fails, the next executor sees that the executor of this boot id is gone, and
        // takes over.
        let handed_back = timeout(HAND_BACK_TIME_MAX, handing_back).await;
        info!(lost = matches!(handed_back, Ok(Some(()))), "the submission is handed back");
        QueueAnswer::RetryAfter(Duration::ZERO)
    }

    async fn reload(&mut self) -> Result<(), QueueAnswer> {
        match self.context.ledger.load_at(&self.aggregate.subject).await {
            Ok(Some(found)) => {
                self.aggregate = found;
                Ok(())
            }
            Ok(None) => {
                error!("a delivered submission is not in the ledger");
                Err(QueueAnswer::RetryAfter(FAULT_DELAY))
            }
            Err(unreadable) => {
                error!(error = &unreadable as &dyn Error, "the submission cannot be read");
                Err(QueueAnswer::RetryAfter(UNREAD_DELAY))
            }
        }
    }
}
