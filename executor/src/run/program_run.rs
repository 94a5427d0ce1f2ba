//! Driving a cell through a submission: files, compiler, one run or every case. Results are told as
//! they come and the outcome is returned as data; the caller records them. Keeps out the ledger.

use std::time::{Duration, Instant};

use events::event::{Accepted, Case, CaseResult, CasesSummary};
use events::{Digest, Exit, StopCause, Usage, Verdict};
use ledger::{ObjectError, ObjectStore};
use sandbox::protocol::{
    CellFile, ExceededLimit, Prepare, Prepared, StageExit, StageLimits, StageOutput, StageReport,
    StageUsage,
};
use tokio::sync::mpsc;

use super::checkers::Comparison;
use super::contents::{ContentError, fetch, fetch_cases, fetch_files};
use super::plan::{Plan, files_bytes, memory_bytes};
use super::tally::CaseTally;
use super::time_left::TimeLeft;
use super::verdict;
use crate::cells::cell::CellError;
use crate::cells::source::LeasedCell;

/// Comparing more than this may take milliseconds, which would delay every other submission of the
/// thread. It goes to a thread of its own.
const COMPARE_INLINE_BYTES_MAX: usize = 256 * 1024;

/// A submission on its way through a cell.
#[derive(Debug)]
pub struct ProgramRun<'a> {
    plan: &'a Plan,
    cell: Box<dyn LeasedCell>,
    objects: &'a dyn ObjectStore,
    /// Until they are written.
    files: Vec<CellFile>,
    /// The input of a run without cases.
    stdin: Vec<u8>,
    cases: Option<Vec<Case>>,
    stops_on_first_failure: bool,
    /// What is left of the time that compiling and all runs may take.
    time_left: TimeLeft,
    /// Spent on preparing so far.
    prepare_time: Duration,
}

/// What is told before the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum RunProgress {
    /// The compiler has ended.
    Compiled(Box<StageReport>),
    /// A case is judged.
    Judged {
        result: Box<CaseResult>,
        /// Whether more results follow.
        more: bool,
    },
}

/// How a submission ended, and where the time went.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct RunOutcome {
    pub verdict: Verdict,
    /// How the program ended; absent when none ran.
    pub exit: Option<Exit>,
    /// The limit that stopped it.
    pub stopped_by: Option<StopCause>,
    /// The time of all runs, and the most memory of any.
    pub usage: Usage,
    /// Standard output to show: of the deciding case where there are cases.
    pub stdout: StageOutput,
    /// Standard error of the same run.
    pub stderr: StageOutput,
    pub cases: Option<CasesSummary>,
    /// Writing files and compiling.
    pub prepare_time: Duration,
    pub run_time: Duration,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The cell was lost.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// Some of the submission's content could not be fetched.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The receiver of results is gone.
    #[error("results are not received any more")]
    NotReceived,
}

impl From<ObjectError> for RunError {
    fn from(error: ObjectError) -> Self {
        Self::Content(error.into())
    }
}

impl<'a> ProgramRun<'a> {
    /// Fetches everything that a submission is made of, and writes its files into the cell unless a
    /// compiler is to follow: files and compiler are one request, and nothing of the submission may
    /// run here.
    pub async fn lay_out(
        plan: &'a Plan,
        cell: Box<dyn LeasedCell>,
        objects: &'a dyn ObjectStore,
        accepted: &Accepted,
    ) -> Result<Self, RunError> {
        let began = Instant::now();
        let cases = match &accepted.suite {
            Some(suite) => Some(fetch_cases(objects, suite).await?),
            None => None,
        };
        let mut run = Self {
            plan,
            cell,
            objects,
            files: fetch_files(objects, &accepted.files).await?,
            stdin: fetch(objects, &accepted.stdin).await?,
            cases,
            stops_on_first_failure: accepted.stop_on_first_failure,
            time_left: TimeLeft::of(accepted.total_time_ms),
            prepare_time: Duration::ZERO,
        };
        if plan.compile.is_none() {
            run.prepare().await?;
        }
        run.prepare_time = began.elapsed();
        Ok(run)
    }

    /// Returns how many cases will be judged at most.
    pub fn cases(&self) -> usize {
        self.cases.as_ref().map_or(0, Vec::len)
    }

    /// Compiles and runs. The cell is given up before this returns, so that it does not wait for
    /// the ledger.
    pub async fn compile_and_run(
        mut self,
        progress: mpsc::Sender<RunProgress>,
    ) -> Result<RunOutcome, RunError> {
        if self.plan.compile.is_some() {
            let began = Instant::now();
            let report = self.prepare().await?;
            self.prepare_time += began.elapsed();
            if let Some(report) = report {
                let stopped_by = self.time_left.take(&report);
                let failed = (!verdict::compiled_well(&report)).then(|| EndedStage {
                    report: report.clone(),
                    stopped_by,
                    cell_is_dead: false,
                });
                tell(&progress, RunProgress::Compiled(Box::new(report))).await?;
                if let Some(failed) = failed {
                    return Ok(self.not_compiled(failed));
                }
            }
        }
        let began = Instant::now();
        let outcome = if let Some(cases) = self.cases.take() {
            self.run_cases(&cases, &progress).await?
        } else {
            let stdin = std::mem::take(&mut self.stdin);
            let ended = self.run_stage(stdin).await?;
            let verdict = verdict::of_end(&ended.report).unwrap_or(Verdict::Finished);
            let usage = verdict::usage(ended.report.usage);
            RunOutcome { usage, ..self.outcome(ended, verdict) }
        };
        Ok(RunOutcome { run_time: began.elapsed(), ..outcome })
    }

    /// Has files written, and compiled if the plan says so.
    async fn prepare(&mut self) -> Result<Option<StageReport>, CellError> {
        let files = std::mem::take(&mut self.files);
        let mut compile = self.plan.compile.clone();
        if let Some(compile) = &mut compile {
            self.time_left.shorten(compile);
        }
        let limits = compile.as_ref().map(|compile| compile.limits);
        let usual = compile
            .as_ref()
            .map_or_else(|| memory_bytes(&self.plan.stage(Vec::new())), memory_bytes);
        let memory = usual + files_bytes(&files);
        let began = Instant::now();
        let prepared = self.cell.prepare(Prepare { files, compile }, memory).await;
        match (prepared, limits) {
            (Ok(Prepared { compile }), _) => Ok(compile),
            // The compiler has brought the cell down, so it has not compiled. Without a compiler
            // the cell is lost: writing files is not the program's doing.
            (Err(CellError::Died { oom_killed: true, stderr: _ }), Some(limits)) => {
                Ok(Some(out_of_memory(limits, began)))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Runs every case, and judges the outputs.
    async fn run_cases(
        &mut self,
        cases: &[Case],
        progress: &mpsc::Sender<RunProgress>,
    ) -> Result<RunOutcome, RunError> {
        let total = u32::try_from(cases.len()).unwrap_or(u32::MAX);
        let mut tally = CaseTally::new(total, points_max(cases));
        let mut shown = None;
        for (number, case) in (0..total).zip(cases) {
            let stdin = fetch(self.objects, &case.stdin).await?;
            let ended = self.run_stage(stdin).await?;
            let case = (number, case);
            let result = judge(self.plan.comparison, self.objects, case, &ended.report).await?;
            let is_last = ended.cell_is_dead
                || ended.stopped_by == Some(StopCause::TotalTime)
                || number + 1 == total;
            // Outputs of other cases are dropped here, so that a long suite takes no more memory.
            if tally.count(result.clone()) {
                shown = Some(ended);
            }
            let over = is_last || (self.stops_on_first_failure && tally.has_failed());
            let judged = RunProgress::Judged { result: Box::new(result), more: !over };
            tell(progress, judged).await?;
            if over {
                break;
            }
        }
        let outcome = self.outcome(shown.unwrap_or_else(nothing_ran), tally.verdict());
        Ok(RunOutcome { usage: tally.usage(), cases: Some(tally.summary()), ..outcome })
    }

    /// Runs the program on an input.
    async fn run_stage(&mut self, stdin: Vec<u8>) -> Result<EndedStage, CellError> {
        let mut stage = self.plan.stage(stdin);
        self.time_left.shorten(&mut stage);
        let (limits, memory, began) = (stage.limits, memory_bytes(&stage), Instant::now());
        let ran = self.cell.run_program(stage, memory).await;
        let (report, cell_is_dead) = unless_out_of_memory(ran, limits, began)?;
        let stopped_by = self.time_left.take(&report);
        Ok(EndedStage { report, stopped_by, cell_is_dead })
    }

    /// What a run shows. The caller adds usage, cases and the time.
    fn outcome(&self, ended: EndedStage, verdict: Verdict) -> RunOutcome {
        let EndedStage { report, stopped_by, cell_is_dead: _ } = ended;
        RunOutcome {
            verdict,
            exit: Some(verdict::exit(report.exit)),
            stopped_by,
            usage: Usage::default(),
            stdout: report.stdout,
            stderr: report.stderr,
            cases: None,
            prepare_time: self.prepare_time,
            run_time: Duration::ZERO,
        }
    }

    /// The end of a submission whose compiler left nothing to run. What the compiler wrote is told
    /// already.
    fn not_compiled(&self, ended: EndedStage) -> RunOutcome {
        let cases = self.cases.as_deref().map(|cases| {
            let total = u32::try_from(cases.len()).unwrap_or(u32::MAX);
            CaseTally::new(total, points_max(cases)).summary()
        });
        let (stdout, stderr) = (StageOutput::default(), StageOutput::default());
        let outcome = self.outcome(ended, Verdict::CompileError);
        RunOutcome { exit: None, stdout, stderr, cases, ..outcome }
    }
}

/// A stage that is over.
#[derive(Debug)]
struct EndedStage {
    report: StageReport,
    /// The limit that ended it.
    stopped_by: Option<StopCause>,
    /// Whether it took the cell with it, which can run no further case then.
    cell_is_dead: bool,
}

async fn judge(
    comparison: Comparison,
    objects: &dyn ObjectStore,
    (number, case): (u32, &Case),
    report: &StageReport,
) -> Result<CaseResult, ObjectError> {
    let verdict = match verdict::of_end(report) {
        Some(verdict) => verdict,
        None if is_right(comparison, objects, case, report).await? => Verdict::Accepted,
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

async fn is_right(
    comparison: Comparison,
    objects: &dyn ObjectStore,
    case: &Case,
    report: &StageReport,
) -> Result<bool, ObjectError> {
    let expected = fetch(objects, &case.expected).await?;
    if expected.len() + report.stdout.bytes.len() <= COMPARE_INLINE_BYTES_MAX {
        return Ok(comparison.accepts(&expected, &report.stdout.bytes));
    }
    let output = report.stdout.bytes.clone();
    let compared = tokio::task::spawn_blocking(move || comparison.accepts(&expected, &output));
    Ok(compared.await.expect("a comparison does not panic"))
}

async fn tell(progress: &mpsc::Sender<RunProgress>, told: RunProgress) -> Result<(), RunError> {
    progress.send(told).await.map_err(|_closed| RunError::NotReceived)
}

fn points_max(cases: &[Case]) -> u64 {
    cases.iter().map(|case| u64::from(case.points)).sum()
}

/// Makes the end of a cell that the kernel ended for want of memory the end of its program. The
/// program took all memory, so this is a verdict; as a lost attempt it would be run again and
/// again. Also tells whether the cell is dead.
fn unless_out_of_memory(
    ran: Result<StageReport, CellError>,
    limits: StageLimits,
    began: Instant,
) -> Result<(StageReport, bool), CellError> {
    match ran {
        Ok(report) => Ok((report, false)),
        Err(CellError::Died { oom_killed: true, stderr: _ }) => {
            Ok((out_of_memory(limits, began), true))
        }
        Err(error) => Err(error),
    }
}

/// SIGKILL, which the kernel sends when memory runs out.
const KILLED: i32 = 9;

fn out_of_memory(limits: StageLimits, began: Instant) -> StageReport {
    let wall_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    StageReport {
        exit: StageExit::Signal(KILLED),
        stopped: Some(ExceededLimit::Memory),
        usage: StageUsage {
            cpu_us: 0,
            wall_us,
            discounted_us: 0,
            memory_peak_kib: u64::from(limits.memory_kib),
        },
        stdout: StageOutput::default(),
        stderr: StageOutput::default(),
    }
}

/// The report of a suite without cases, which is passed by doing nothing.
fn nothing_ran() -> EndedStage {
    let report = StageReport {
        exit: StageExit::Code(0),
        stopped: None,
        usage: StageUsage::default(),
        stdout: StageOutput::default(),
        stderr: StageOutput::default(),
    };
    EndedStage { report, stopped_by: None, cell_is_dead: false }
}
