//! Recording what is told while a submission runs: the compiler's words and groups of results, each an event of the
//! attempt, in order. Stops at the first event that may not stand.

use events::Event;
use events::envelope::Writer;
use events::event::{CaseResult, Compiled, Judged};
use ledger::{Aggregate, Ledger};
use sandbox::protocol::StageReport;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::appending::{AppendError, append, store};
use crate::run::grouping::Grouping;
use crate::run::outputs::join;
use crate::run::perform::Progress;
use crate::run::verdict;
use crate::runner::Blobs;

/// Writes the events of one attempt.
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) blobs: &'a dyn Blobs,
    pub(super) writer: &'a Writer,
    pub(super) attempt: u32,
}

impl Recorder<'_> {
    /// Records what is told until nobody tells any more. Returns the results that are left for the last event.
    pub(super) async fn record(
        &self,
        aggregate: &mut Aggregate,
        mut told: mpsc::Receiver<Progress>,
        cases: usize,
    ) -> Result<Vec<CaseResult>, AppendError> {
        let (mut grouping, mut first) = (Grouping::new(cases), 0);
        loop {
            let due = grouping.due_at();
            let group = tokio::select! {
                progress = told.recv() => match progress {
                    None => return Ok(grouping.into_rest()),
                    Some(Progress::Compiled(report)) => {
                        self.compiled(aggregate, *report).await?;
                        None
                    }
                    Some(Progress::Judged { result, more }) => {
                        grouping.push(*result, more, Instant::now())
                    }
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    Some(grouping.tell())
                }
            };
            if let Some(results) = group {
                let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
                let judged = Judged { attempt: self.attempt, first, results };
                self.append(aggregate, Event::Judged(judged)).await?;
                first += count;
            }
        }
    }

    async fn compiled(
        &self,
        aggregate: &mut Aggregate,
        report: StageReport,
    ) -> Result<(), AppendError> {
        let ok = verdict::compiled_well(&report);
        let (exit, usage) = (verdict::exit(report.exit), verdict::usage(report.usage));
        let [output] = store(self.blobs, [join(report.stdout, report.stderr)]).await;
        let compiled = Compiled { attempt: self.attempt, ok, exit, output, usage };
        self.append(aggregate, Event::Compiled(compiled)).await
    }

    async fn append(&self, aggregate: &mut Aggregate, event: Event) -> Result<(), AppendError> {
        append(self.ledger, aggregate, event, self.writer).await
    }
}
