//! One attempt and every event that this executor may write about it. The fence stands here: each
//! append expects the sequence of the last event that this executor knows of. If another executor
//! took the submission over, another event stands there, the append is rejected, and nothing that
//! happened here is recorded.

use std::error::Error;
use std::time::{Duration, Instant};

use events::envelope::Writer;
use events::event::{
    CaseResult, Compiled, Completed, Failed, FailureClass, Isolation, Judged, Lost, LostReason,
    Started, Timings,
};
use events::{Event, Rejection};
use ledger::{Aggregate, ExecuteError};
use metrics::{counter, histogram};
use sandbox::protocol::StageReport;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tracing::{error, info, warn};

use super::append::append;
use super::context::ExecutorContext;
use crate::cells::cell::CellError;
use crate::cells::source::Provenance;
use crate::cells::warm_cells::NoCellError;
use crate::metrics::{ATTEMPTS_LOST, RUN_SECONDS, RUNS, SUBMISSIONS_FAILED};
use crate::run::contents::ContentError;
use crate::run::grouping::Grouping;
use crate::run::outputs::{join, store_outputs};
use crate::run::program_run::{RunError, RunOutcome, RunProgress};
use crate::run::verdict;

/// Why an attempt did not end with a verdict.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    /// The submission's state forbids an event: it was cancelled, or another executor took over.
    #[error("the submission was taken away")]
    TakenAway(#[source] Option<Rejection>),
    /// The cell was lost, and with it the attempt.
    #[error("the cell was lost")]
    CellLost(#[source] CellError),
    /// Some of the submission's content is missing or malformed.
    #[error("content of the submission cannot be had")]
    Content(#[source] ContentError),
    /// There are no cells any more.
    #[error(transparent)]
    NoCell(#[from] NoCellError),
    /// The ledger never takes an event.
    #[error("an event cannot be put into the ledger")]
    Append(#[source] ExecuteError),
}

impl From<ExecuteError> for AttemptError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Rejected(rejection) => Self::TakenAway(Some(rejection)),
            other => Self::Append(other),
        }
    }
}

impl From<RunError> for AttemptError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Cell(error) => Self::CellLost(error),
            RunError::Content(error) => Self::Content(error),
            RunError::NotReceived => Self::TakenAway(None),
        }
    }
}

/// An attempt: one that runs here, or one that this executor puts an end to.
#[derive(Debug)]
pub(super) struct RunningAttempt<'a> {
    pub(super) context: &'a ExecutorContext,
    pub(super) writer: &'a Writer,
    /// The submission as this executor knows it. The next append expects that nothing has happened
    /// since.
    pub(super) aggregate: &'a mut Aggregate,
    /// Taken when the attempt is begun, and never from a later state: an event about a number that
    /// another executor has begun meanwhile must be rejected.
    pub(super) number: u32,
}

impl RunningAttempt<'_> {
    /// Begins the attempt. Of two executors that try at once, one is rejected.
    pub(super) async fn append_started(
        &mut self,
        provenance: &Provenance,
        language_version: String,
    ) -> Result<(), ExecuteError> {
        let identity = &self.context.identity;
        let started = Started {
            attempt: self.number,
            executor: identity.name.clone(),
            boot_id: identity.boot,
            image: provenance.image.clone(),
            image_digest: provenance.image_digest.clone(),
            sandbox_profile: provenance.profile,
            // Each cell is removed after its submission.
            isolation: Isolation::SingleUse,
            kernel: identity.kernel.clone(),
            cpu_model: identity.cpu_model.clone(),
            // Of what runs, which may be newer than what was accepted.
            language_version: Some(language_version),
        };
        self.append(&Event::Started(started)).await
    }

    /// Records what is told while the submission runs, until the run is over. Returns the results
    /// that are left for [`RunningAttempt::record_end`]. Stops at the first event that is rejected.
    pub(super) async fn record_progress(
        &mut self,
        mut told: mpsc::Receiver<RunProgress>,
        cases: usize,
    ) -> Result<Vec<CaseResult>, ExecuteError> {
        let (mut grouping, mut first) = (Grouping::new(cases, self.number), 0);
        loop {
            let due = grouping.due_at();
            let group = tokio::select! {
                progress = told.recv() => match progress {
                    // The run has dropped its end: there is nothing more to come.
                    None => return Ok(grouping.into_rest()),
                    Some(RunProgress::Compiled(report)) => {
                        self.append_compiled(*report).await?;
                        None
                    }
                    Some(RunProgress::Judged { result, more }) => {
                        grouping.push(*result, more, tokio::time::Instant::now())
                    }
                },
                () = sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                    Some(grouping.take_group())
                }
            };
            if let Some(results) = group {
                let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
                let judged = Judged { attempt: self.number, first, results };
                self.append(&Event::Judged(judged)).await?;
                first += count;
            }
        }
    }

    async fn append_compiled(&mut self, report: StageReport) -> Result<(), ExecuteError> {
        let ok = verdict::compiled_well(&report);
        let (exit, usage) = (verdict::exit(report.exit), verdict::usage(report.usage));
        // As a terminal shows it: compilers differ in which stream they write to.
        let output = join(report.stdout, report.stderr);
        let kept_bytes_max = self.context.outputs_room.kept_bytes_max();
        let objects = self.context.objects.as_ref();
        let [output] = store_outputs(objects, kept_bytes_max, [output]).await;
        let compiled = Compiled { attempt: self.number, ok, exit, output, usage };
        self.append(&Event::Compiled(compiled)).await
    }

    /// Stores the outputs of a run that is over, and puts together what is to be recorded of it.
    pub(super) async fn store_outcome(
        &self,
        outcome: RunOutcome,
        results: Vec<CaseResult>,
        cell_time: Duration,
    ) -> Completed {
        let outputs = [outcome.stdout, outcome.stderr];
        let kept_bytes_max = self.context.outputs_room.kept_bytes_max();
        let objects = self.context.objects.as_ref();
        let [stdout, stderr] = store_outputs(objects, kept_bytes_max, outputs).await;
        Completed {
            attempt: self.number,
            verdict: outcome.verdict,
            exit: outcome.exit,
            stopped_by: outcome.stopped_by,
            usage: outcome.usage,
            stdout,
            stderr,
            results,
            cases: outcome.cases,
            timings: Timings {
                cell_us: micros(cell_time),
                prepare_us: micros(outcome.prepare_time),
                run_us: micros(outcome.run_time),
            },
        }
    }

    /// Records how the attempt ended. Returns the error of one about which nothing may be written
    /// here.
    pub(super) async fn record_end(
        &mut self,
        ended: Result<Completed, AttemptError>,
        began: Instant,
    ) -> Result<(), AttemptError> {
        match ended {
            Ok(completed) => self.complete(completed, began).await,
            // The cell is the platform's, so the submission gets another attempt.
            Err(AttemptError::CellLost(lost)) => {
                warn!(error = &lost as &dyn Error, attempt = self.number, "the cell was lost");
                self.declare_lost(LostReason::CellDied).await
            }
            // Another attempt would miss the same content.
            Err(AttemptError::Content(missing)) => {
                error!(error = &missing as &dyn Error, "the submission is not here in full");
                self.fail(FailureClass::Unrunnable, missing.to_string()).await
            }
            // The attempt is another executor's by now, or nothing can be appended at all.
            Err(
                other @ (AttemptError::TakenAway(_)
                | AttemptError::NoCell(_)
                | AttemptError::Append(_)),
            ) => Err(other),
        }
    }

    /// Records the verdict. An outcome that the ledger never takes is the platform's failure.
    async fn complete(&mut self, completed: Completed, began: Instant) -> Result<(), AttemptError> {
        let verdict = completed.verdict;
        match self.append(&Event::Completed(Box::new(completed))).await {
            Ok(()) => {}
            // A smaller event can tell that there is no outcome. Without it the submission would
            // run again and again, to the same outcome.
            Err(
                refused @ (ExecuteError::SubjectFull
                | ExecuteError::TooLarge
                | ExecuteError::Refused(_)),
            ) => {
                error!(error = &refused as &dyn Error, "the outcome does not fit into the ledger");
                let reason = format!("the outcome does not fit into the ledger: {refused}");
                return self.fail(FailureClass::Unrunnable, reason).await;
            }
            Err(error) => return Err(error.into()),
        }
        let elapsed_ms = began.elapsed().as_secs_f64() * 1_000.0;
        info!(
            attempt = self.number,
            verdict = verdict.as_str(),
            elapsed_ms,
            "submission completed"
        );
        let language = self.aggregate.submission.language.slug.to_string();
        counter!(RUNS, "language" => language.clone(), "verdict" => verdict.as_str()).increment(1);
        histogram!(RUN_SECONDS, "language" => language).record(began.elapsed());
        Ok(())
    }

    /// Declares the attempt lost. If the executor that began it still runs it, that executor's next
    /// append is rejected.
    pub(super) async fn declare_lost(&mut self, reason: LostReason) -> Result<(), AttemptError> {
        let observer = self.context.identity.name.clone();
        self.append(&Event::Lost(Lost { attempt: self.number, reason, observer })).await?;
        counter!(ATTEMPTS_LOST, "reason" => reason.as_str()).increment(1);
        Ok(())
    }

    /// Gives the submission up, after the attempts that it has had so far.
    pub(super) async fn fail(
        &mut self,
        class: FailureClass,
        reason: String,
    ) -> Result<(), AttemptError> {
        let last = self.aggregate.submission.attempts.last();
        let attempts = last.map_or(0, |attempt| attempt.number);
        self.append(&Event::Failed(Failed { class, reason, attempts })).await?;
        counter!(SUBMISSIONS_FAILED, "class" => class.as_str()).increment(1);
        Ok(())
    }

    pub(super) async fn append(&mut self, event: &Event) -> Result<(), ExecuteError> {
        append(&self.context.ledger, self.aggregate, event, self.writer).await
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
