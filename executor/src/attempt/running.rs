//! One attempt: begin it, run it, and say how it ended. Whoever takes the submission away meanwhile is met at the next
//! append, or by the watch.

use std::time::{Duration, Instant};

use events::event::{
    Accepted, Case, Completed, Isolation, Lost, LostReason, Started, Suite, Timings,
};
use events::{Event, Rejection};
use ledger::{Aggregate, ObjectError};
use sandbox::protocol::{SourceFile, StageReport};
use tokio::sync::mpsc;
use tracing::warn;

use super::appending::{AppendError, append, store};
use super::held::Claim;
use super::recording::Recorder;
use super::watching::{Watched, until_taken_away};
use super::work::Work;
use crate::cells::cell::CellError;
use crate::cells::pool::PoolError;
use crate::run::contents::fetch;
use crate::run::perform::{self, Finished, Material, PerformError, Performance, Progress, Telling};
use crate::run::plan::Plan;
use crate::run::verdict;
use crate::runner::Bench;

/// Results that may wait to be recorded before the run waits for them.
const PROGRESS_MAX: usize = 64;

/// Why an attempt did not end with a verdict.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    /// The submission's state forbids an event: look at it again.
    #[error("the submission was taken away")]
    TakenAway(#[source] Option<Rejection>),
    /// The cell was lost, and with it the attempt.
    #[error("the cell was lost")]
    Cell(#[source] CellError),
    /// The submission is not here in full.
    #[error("content of the submission is not to be had")]
    Content(#[source] ContentError),
    /// There are no cells any more.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// An event cannot be put into the ledger.
    #[error(transparent)]
    Append(AppendError),
}

/// What is wrong with the content of a submission.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    /// An object is absent or corrupt.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A test suite is no array of cases.
    #[error("the test suite is malformed")]
    Suite(#[from] serde_json::Error),
    /// A test suite has another number of cases than the event says.
    #[error("the test suite has {here} cases, and was accepted with {accepted}")]
    Count {
        /// How many it has.
        here: usize,
        /// How many it should have.
        accepted: u32,
    },
}

impl From<AppendError> for AttemptError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Rejected(rejection) => Self::TakenAway(Some(rejection)),
            AppendError::Refused(_) | AppendError::Unreadable(_) => Self::Append(error),
        }
    }
}

/// An attempt to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order<'a> {
    /// Which one.
    pub(super) number: u32,
    /// Of what.
    pub(super) accepted: &'a Accepted,
    /// By which plan.
    pub(super) plan: &'a Plan,
}

/// An attempt that has been begun, with all that it needs to run.
struct Ready<'a> {
    plan: &'a Plan,
    bench: Box<dyn Bench>,
    material: Material,
    stop_early: bool,
    cell: Duration,
    /// Spent on preparing so far.
    prepare: Duration,
}

/// How a run ended, and where the time went.
struct Ended {
    finished: Finished,
    prepare: Duration,
    run: Duration,
}

impl Work<'_> {
    /// Begins an attempt, runs it and records how it ended.
    pub(super) async fn attempt(
        &self,
        aggregate: &mut Aggregate,
        order: Order<'_>,
        claim: &Claim,
    ) -> Result<Completed, AttemptError> {
        let Order { number, accepted, plan } = order;
        let asked_at = Instant::now();
        let mut bench = self.runner.bench(&plan.image).await?;
        let cell = asked_at.elapsed();
        let started = Event::Started(self.started(number, bench.as_ref()));
        // Reading and writing files is no run: it needs not wait until the start stands. Compiling does.
        let (begun, ready) = tokio::join!(
            self.append(aggregate, started),
            self.lay_out(bench.as_mut(), accepted, plan)
        );
        begun?;
        let (material, prepare) = ready?;
        let stop_early = accepted.stop_on_first_failure;
        let ready = Ready { plan, bench, material, stop_early, cell, prepare };
        let subject = aggregate.subject.clone();
        let watched = Watched { subject: &subject, attempt: number, boot: self.identity.boot };
        tokio::select! {
            completed = self.run_and_record(aggregate, number, ready) => completed,
            () = until_taken_away(self.ledger, watched, &claim.bell, self.settings.ack_wait) => {
                Err(AttemptError::TakenAway(None))
            }
        }
    }

    fn started(&self, attempt: u32, bench: &dyn Bench) -> Started {
        let (identity, provenance) = (self.identity, bench.provenance());
        Started {
            attempt,
            executor: identity.name.clone(),
            boot_id: identity.boot,
            image: provenance.image.clone(),
            image_digest: provenance.image_digest.clone(),
            sandbox_profile: provenance.profile,
            isolation: Isolation::SingleUse,
            kernel: identity.kernel.clone(),
            cpu_model: identity.cpu_model.clone(),
        }
    }

    /// Fetches everything that the submission is made of, and writes its files unless a compiler is to follow.
    async fn lay_out(
        &self,
        bench: &mut dyn Bench,
        accepted: &Accepted,
        plan: &Plan,
    ) -> Result<(Material, Duration), AttemptError> {
        let began = Instant::now();
        let mut material = self.fetch(accepted).await.map_err(AttemptError::Content)?;
        if plan.compile.is_none() {
            let files = std::mem::take(&mut material.files);
            perform::prepare(bench, plan, files).await.map_err(AttemptError::Cell)?;
        }
        Ok((material, began.elapsed()))
    }

    async fn fetch(&self, accepted: &Accepted) -> Result<Material, ContentError> {
        let mut material = Material::default();
        for file in &accepted.files {
            let content = fetch(self.blobs, &file.content).await?;
            material.files.push(SourceFile { path: file.name.to_string(), content });
        }
        match &accepted.suite {
            None => material.stdin = fetch(self.blobs, &accepted.stdin).await?,
            Some(Suite::Inline { cases, sha256: _ }) => material.cases = Some(cases.clone()),
            Some(Suite::Object { object, count }) => {
                let json = fetch(self.blobs, &events::Content::Object(object.clone())).await?;
                let cases: Vec<Case> = serde_json::from_slice(&json)?;
                if u32::try_from(cases.len()) != Ok(*count) {
                    return Err(ContentError::Count { here: cases.len(), accepted: *count });
                }
                material.cases = Some(cases);
            }
        }
        Ok(material)
    }

    /// Runs what is ready while results are recorded, and puts the outcome together.
    async fn run_and_record(
        &self,
        aggregate: &mut Aggregate,
        attempt: u32,
        ready: Ready<'_>,
    ) -> Result<Completed, AttemptError> {
        let (telling, told) = mpsc::channel(PROGRESS_MAX);
        let cell_us = micros(ready.cell);
        let cases = ready.material.cases.as_ref().map_or(0, Vec::len);
        let recorder =
            Recorder { ledger: self.ledger, blobs: self.blobs, writer: self.writer, attempt };
        // A recorder that may not go on stops the run; a run that is over lets the recorder finish.
        let running = async { Ok(self.run(ready, telling).await) };
        let recording =
            async { recorder.record(aggregate, told, cases).await.map_err(AttemptError::from) };
        let (ended, results) = tokio::try_join!(running, recording)?;
        let Ended { finished, prepare, run } = ended?;
        let [stdout, stderr] = store(self.blobs, [finished.stdout, finished.stderr]).await;
        Ok(Completed {
            attempt,
            verdict: finished.verdict,
            exit: finished.exit,
            stopped_by: finished.stopped_by,
            usage: finished.usage,
            stdout,
            stderr,
            results,
            cases: finished.cases,
            timings: Timings { cell_us, prepare_us: micros(prepare), run_us: micros(run) },
        })
    }

    /// Compiles and runs. The cell is given up before this returns.
    async fn run(&self, ready: Ready<'_>, telling: Telling) -> Result<Ended, AttemptError> {
        let Ready { plan, mut bench, mut material, stop_early, cell: _, mut prepare } = ready;
        if plan.compile.is_some() {
            let began = Instant::now();
            let files = std::mem::take(&mut material.files);
            let report = perform::prepare(bench.as_mut(), plan, files).await;
            let report = report.map_err(AttemptError::Cell)?;
            prepare += began.elapsed();
            if let Some(failed) = tell_compiled(report, &telling).await? {
                let finished = Finished::uncompiled(&failed, material.cases.as_deref());
                return Ok(Ended { finished, prepare, run: Duration::ZERO });
            }
        }
        let began = Instant::now();
        let performance = Performance { plan, bench: bench.as_mut(), blobs: self.blobs, telling };
        let finished = match &material.cases {
            None => performance.run_once(material.stdin).await,
            Some(cases) => performance.run_cases(cases, stop_early).await,
        };
        Ok(Ended { finished: finished?, prepare, run: began.elapsed() })
    }

    pub(super) async fn append(
        &self,
        aggregate: &mut Aggregate,
        event: Event,
    ) -> Result<(), AppendError> {
        append(self.ledger, aggregate, event, self.writer).await
    }

    pub(super) fn lost(&self, attempt: u32, reason: LostReason) -> Event {
        Event::Lost(Lost { attempt, reason, observer: self.identity.name.clone() })
    }
}

impl From<PerformError> for AttemptError {
    fn from(error: PerformError) -> Self {
        match error {
            PerformError::Cell(error) => Self::Cell(error),
            PerformError::Object(error) => Self::Content(error.into()),
            PerformError::Unheard => Self::TakenAway(None),
        }
    }
}

/// Tells what the compiler said. Returns its report if there is nothing to run.
async fn tell_compiled(
    report: Option<StageReport>,
    telling: &Telling,
) -> Result<Option<StageReport>, AttemptError> {
    let Some(report) = report else { return Ok(None) };
    let failed = (!verdict::compiled_well(&report)).then(|| report.clone());
    let told = telling.send(Progress::Compiled(Box::new(report))).await;
    told.map_err(|_closed| {
        warn!("nobody listens to the compiler");
        AttemptError::TakenAway(None)
    })?;
    Ok(failed)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
