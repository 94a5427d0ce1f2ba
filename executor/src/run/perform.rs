//! Driving a cell through a submission: files, compiler, one run or every case. Tells results as they come; what becomes
//! of them is the caller's affair. Keeps out the ledger.

use std::time::Instant;

use events::event::{Case, CaseResult, CasesSummary};
use events::{Digest, Exit, StopCause, Usage, Verdict};
use ledger::ObjectError;
use sandbox::protocol::{
    self, Captured, Prepare, Prepared, SourceFile, StageLimits, StageReport, Stop,
};
use tokio::sync::mpsc;

use super::checkers::Comparison;
use super::contents::fetch;
use super::plan::{Plan, files_bytes, memory_bytes};
use super::tally::Tally;
use super::verdict;
use crate::cells::cell::CellError;
use crate::runner::{Bench, Blobs};

/// Comparing more than this may take milliseconds, and goes to a thread of its own.
const COMPARE_INLINE_BYTES_MAX: usize = 256 * 1024;

/// What a submission is made of, wherever it lay.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The files, until they are written.
    pub files: Vec<SourceFile>,
    /// Standard input of a run without cases.
    pub stdin: Vec<u8>,
    /// The cases to judge by.
    pub cases: Option<Vec<Case>>,
}

/// What is told before the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The compiler has spoken.
    Compiled(Box<StageReport>),
    /// A case is judged.
    Judged {
        /// Its result.
        result: Box<CaseResult>,
        /// Whether more results follow.
        more: bool,
    },
}

/// How a submission ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The judgement.
    pub verdict: Verdict,
    /// How the program ended; absent when none ran.
    pub exit: Option<Exit>,
    /// The limit that stopped it.
    pub stopped_by: Option<StopCause>,
    /// What it used.
    pub usage: Usage,
    /// Standard output to show.
    pub stdout: Captured,
    /// Standard error to show.
    pub stderr: Captured,
    /// All cases in short.
    pub cases: Option<CasesSummary>,
}

/// Why there is no end.
#[derive(Debug, thiserror::Error)]
pub enum PerformError {
    /// The cell was lost.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// A case's content could not be fetched.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Nobody listens to results any more.
    #[error("nobody listens")]
    Unheard,
}

/// Where results go.
pub type Telling = mpsc::Sender<Progress>;

/// Has files written, and compiled if the plan says so. A compiler that took its cell down with it has not compiled.
pub async fn prepare(
    bench: &mut dyn Bench,
    plan: &Plan,
    files: Vec<SourceFile>,
) -> Result<Option<StageReport>, CellError> {
    let memory =
        plan.compile.as_ref().map_or_else(|| memory_bytes(&plan.stage(Vec::new())), memory_bytes);
    let memory = memory + files_bytes(&files);
    let started_at = Instant::now();
    let prepare = Prepare { files, compile: plan.compile.clone() };
    match (bench.prepare(prepare, memory).await, &plan.compile) {
        (Ok(Prepared { compile }), _) => Ok(compile),
        (Err(CellError::Died { oom_killed: true, stderr: _ }), Some(compile)) => {
            Ok(Some(out_of_memory(compile.limits, started_at)))
        }
        (Err(error), _) => Err(error),
    }
}

/// A submission on its way through a cell.
#[derive(Debug)]
pub struct Performance<'a> {
    /// How it is run.
    pub plan: &'a Plan,
    /// Where.
    pub bench: &'a mut dyn Bench,
    /// Where cases' objects lie.
    pub blobs: &'a dyn Blobs,
    /// Where results go.
    pub telling: Telling,
}

impl Performance<'_> {
    /// Runs the program once, and judges how it ends.
    pub async fn run_once(mut self, stdin: Vec<u8>) -> Result<Finished, PerformError> {
        let (report, _dead) = self.run(stdin).await?;
        let verdict = verdict::of_end(&report).unwrap_or(Verdict::Finished);
        Ok(Finished { usage: verdict::usage(report.usage), ..Finished::of(report, verdict) })
    }

    /// Runs every case, and judges the outputs.
    pub async fn run_cases(
        mut self,
        cases: &[Case],
        stop_early: bool,
    ) -> Result<Finished, PerformError> {
        let total = u32::try_from(cases.len()).unwrap_or(u32::MAX);
        let points_max = cases.iter().map(|case| u64::from(case.points)).sum();
        let mut tally = Tally::new(total, points_max);
        let mut shown = None;
        for (number, case) in (0..total).zip(cases) {
            let (report, dead) = self.run(fetch(self.blobs, &case.stdin).await?).await?;
            let result = self.judge().result(number, case, &report).await?;
            if tally.count(result.clone()) {
                shown = Some(report);
            }
            let over = dead || number + 1 == total || (stop_early && tally.has_failed());
            self.tell(Progress::Judged { result: Box::new(result), more: !over }).await?;
            if over {
                break;
            }
        }
        let finished = Finished::of(shown.unwrap_or_else(nothing_ran), tally.verdict());
        Ok(Finished { usage: tally.usage(), cases: Some(tally.summary()), ..finished })
    }

    async fn tell(&mut self, progress: Progress) -> Result<(), PerformError> {
        self.telling.send(progress).await.map_err(|_closed| PerformError::Unheard)
    }

    /// Runs the program, and tells whether that was the end of the cell: one that the kernel ended for want of memory
    /// took the program's memory down with it, so this is the program's fault and no loss.
    async fn run(&mut self, stdin: Vec<u8>) -> Result<(StageReport, bool), CellError> {
        let stage = self.plan.stage(stdin);
        let (memory, limits) = (memory_bytes(&stage), stage.limits);
        let started_at = Instant::now();
        match self.bench.run(stage, memory).await {
            Ok(report) => Ok((report, false)),
            Err(CellError::Died { oom_killed: true, stderr: _ }) => {
                Ok((out_of_memory(limits, started_at), true))
            }
            Err(error) => Err(error),
        }
    }

    fn judge(&self) -> Judge<'_> {
        Judge { comparison: self.plan.comparison, blobs: self.blobs }
    }
}

/// Compares outputs.
#[derive(Clone, Copy, Debug)]
struct Judge<'a> {
    comparison: Comparison,
    blobs: &'a dyn Blobs,
}

impl Judge<'_> {
    async fn result(
        self,
        number: u32,
        case: &Case,
        report: &StageReport,
    ) -> Result<CaseResult, ObjectError> {
        let verdict = match verdict::of_end(report) {
            Some(verdict) => verdict,
            None if self.is_right(case, report).await? => Verdict::Accepted,
            None => Verdict::WrongAnswer,
        };
        Ok(CaseResult {
            case: number,
            name: case.name.clone(),
            verdict,
            exit: verdict::exit(report.exit),
            usage: verdict::usage(report.usage),
            output_sha256: Digest::of(&report.stdout.bytes),
            points: if verdict == Verdict::Accepted { case.points } else { 0 },
        })
    }

    async fn is_right(self, case: &Case, report: &StageReport) -> Result<bool, ObjectError> {
        let expected = fetch(self.blobs, &case.expected).await?;
        let comparison = self.comparison;
        if expected.len() + report.stdout.bytes.len() <= COMPARE_INLINE_BYTES_MAX {
            return Ok(comparison.accepts(&expected, &report.stdout.bytes));
        }
        let output = report.stdout.bytes.clone();
        let compared = tokio::task::spawn_blocking(move || comparison.accepts(&expected, &output));
        Ok(compared.await.expect("a comparison does not panic"))
    }
}

impl Finished {
    /// Returns the end of a submission whose compiler left nothing to run.
    pub fn uncompiled(report: &StageReport, cases: Option<&[Case]>) -> Self {
        let cases = cases.map(|cases| {
            let points = cases.iter().map(|case| u64::from(case.points)).sum();
            Tally::new(u32::try_from(cases.len()).unwrap_or(u32::MAX), points).summary()
        });
        Self {
            verdict: Verdict::CompileError,
            exit: None,
            stopped_by: report.stopped.map(verdict::stop_cause),
            usage: Usage::default(),
            stdout: Captured::default(),
            stderr: Captured::default(),
            cases,
        }
    }

    /// What a run shows; usage and cases are added by who knows them.
    fn of(report: StageReport, verdict: Verdict) -> Self {
        Self {
            verdict,
            exit: Some(verdict::exit(report.exit)),
            stopped_by: report.stopped.map(verdict::stop_cause),
            usage: Usage::default(),
            stdout: report.stdout,
            stderr: report.stderr,
            cases: None,
        }
    }
}

/// SIGKILL, which the kernel sends when memory runs out.
const KILLED: i32 = 9;

fn out_of_memory(limits: StageLimits, started_at: Instant) -> StageReport {
    let wall_us = u64::try_from(started_at.elapsed().as_micros()).unwrap_or(u64::MAX);
    StageReport {
        exit: protocol::Exit::Signal(KILLED),
        stopped: Some(Stop::Memory),
        usage: protocol::Usage {
            cpu_us: 0,
            wall_us,
            memory_peak_kib: u64::from(limits.memory_kib),
        },
        stdout: Captured::default(),
        stderr: Captured::default(),
    }
}

/// A suite without cases is passed by doing nothing.
fn nothing_ran() -> StageReport {
    StageReport {
        exit: protocol::Exit::Code(0),
        stopped: None,
        usage: protocol::Usage::default(),
        stdout: Captured::default(),
        stderr: Captured::default(),
    }
}
