//! Stand-ins for tests: a submission, cells that follow a script, peers and receipts that remember.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use events::content::Content;
use events::event::{Accepted, Case, LanguageRef, SourceFile, Suite};
use events::testing::instant;
use events::{BootId, Clock, Digest, Lane, SubmissionId, Timestamp};
use ledger::memory::MemoryObjects;
use ledger::{Acknowledge, Held, KnownOffers, Ledger, QueueError};
use sandbox::languages::Catalog;
use sandbox::protocol::{
    ExceededLimit, Prepare, Prepared, Stage, StageExit, StageOutput, StageReport, StageUsage,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::attempt::{AttemptSettings, ExecutorContext, ExecutorIdentity};
use crate::cells::cell::CellError;
use crate::cells::source::{CellSource, LeasedCell, Provenance};
use crate::cells::warm_cells::NoCellError;
use crate::outputs_room::OutputsRoom;
use crate::peers::Peers;

/// A submission in a language of the catalogue, without cases.
pub(crate) fn accepted(slug: &str) -> Accepted {
    let version =
        Catalog::builtin().find(slug).map_or_else(String::new, |found| found.version.clone());
    Accepted {
        language: LanguageRef { slug: slug.parse().unwrap(), version },
        files: vec![SourceFile {
            name: "main.txt".parse().unwrap(),
            content: Content::Text("source".to_owned()),
        }],
        ..events::testing::accepted()
    }
}

/// A submission with so many cases, each of which expects "ok".
pub(crate) fn accepted_with_cases(slug: &str, count: usize) -> Accepted {
    let case = Case {
        stdin: Content::default(),
        expected: Content::Text("ok".to_owned()),
        points: 2,
        name: None,
    };
    let cases = vec![case; count];
    let sha256 = Digest::of(&serde_json::to_vec(&cases).unwrap());
    let suite = Some(Suite::Inline { cases, sha256 });
    Accepted { lane: Lane::Submit, suite, ..accepted(slug) }
}

/// What a program does in a scripted cell.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// It ends like this.
    End(Box<StageReport>),
    /// It ends like this after a while.
    EndAfter(Duration, Box<StageReport>),
    /// It takes the cell down with it.
    Die { oom_killed: bool },
    /// It runs for ever.
    Hang,
}

pub(crate) fn prints(output: &[u8]) -> StageReport {
    let captured =
        StageOutput { bytes: output.to_vec(), total_bytes: output.len() as u64, truncated: false };
    StageReport {
        exit: StageExit::Code(0),
        stopped: None,
        usage: StageUsage {
            cpu_us: 1_000,
            wall_us: 2_000,
            discounted_us: 0,
            memory_peak_kib: 3_000,
        },
        stdout: captured,
        stderr: StageOutput::default(),
    }
}

pub(crate) fn fails(code: i32) -> StageReport {
    StageReport { exit: StageExit::Code(code), ..prints(b"") }
}

pub(crate) fn stopped(stop: ExceededLimit) -> StageReport {
    StageReport { exit: StageExit::Signal(9), stopped: Some(stop), ..prints(b"") }
}

/// Cells that follow one script, each act for one compilation or run; past its end, programs print
/// "ok".
#[derive(Debug, Default)]
pub(crate) struct Script {
    acts: Mutex<VecDeque<Act>>,
    /// Cells that were taken.
    pub(crate) taken: Mutex<u32>,
    /// Cells that are in use.
    pub(crate) in_use: Arc<Mutex<u32>>,
    /// Rings when a program begins.
    pub(crate) begun: Arc<Notify>,
    /// How often a place was given back that no cell was taken for.
    pub(crate) given_back: Mutex<usize>,
    /// Whether it was asked to run with nothing beside it.
    pub(crate) ran_alone: Mutex<bool>,
    /// The files of each preparation.
    pub(crate) prepared: Arc<Mutex<Vec<Prepare>>>,
}

impl Script {
    pub(crate) fn new(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self { acts: Mutex::new(acts.into_iter().collect()), ..Self::default() })
    }

    fn next(&self) -> Act {
        let next = self.acts.lock().unwrap().pop_front();
        next.unwrap_or_else(|| Act::End(Box::new(prints(b"ok"))))
    }

    async fn play(&self) -> Result<StageReport, CellError> {
        self.begun.notify_one();
        match self.next() {
            Act::End(report) => Ok(*report),
            Act::EndAfter(wait, report) => {
                tokio::time::sleep(wait).await;
                Ok(*report)
            }
            Act::Die { oom_killed } => Err(CellError::Died { oom_killed, stderr: String::new() }),
            Act::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl CellSource for Arc<Script> {
    fn give_back(&mut self) {
        *self.given_back.lock().unwrap() += 1;
    }

    fn run_alone(&mut self) {
        *self.ran_alone.lock().unwrap() = true;
    }

    async fn take_cell(
        &mut self,
        image: &str,
        _memory_bytes: u64,
    ) -> Result<Box<dyn LeasedCell>, NoCellError> {
        *self.taken.lock().unwrap() += 1;
        *self.in_use.lock().unwrap() += 1;
        let provenance = Provenance {
            image: format!("runledger/{image}:test"),
            image_digest: "sha256:0".to_owned(),
            profile: Digest::of(b"profile"),
        };
        Ok(Box::new(ScriptedCell { script: self.clone(), provenance }))
    }
}

#[derive(Debug)]
struct ScriptedCell {
    script: Arc<Script>,
    provenance: Provenance,
}

#[async_trait]
impl LeasedCell for ScriptedCell {
    fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    async fn prepare(
        &mut self,
        prepare: Prepare,
        _memory_bytes: u64,
    ) -> Result<Prepared, CellError> {
        let compiles = prepare.compile.is_some();
        self.script.prepared.lock().unwrap().push(prepare);
        let compile = if compiles { Some(self.script.play().await?) } else { None };
        Ok(Prepared { compile })
    }

    async fn run_program(
        &mut self,
        _stage: Stage,
        _memory_bytes: u64,
    ) -> Result<StageReport, CellError> {
        self.script.play().await
    }
}

impl Drop for ScriptedCell {
    fn drop(&mut self) {
        *self.script.in_use.lock().unwrap() -= 1;
    }
}

/// What an executor of this boot id works with, whose peers all say the same.
pub(crate) fn context(ledger: &Ledger, boot: BootId, peers: Held) -> ExecutorContext {
    let clock = TokioClock::new();
    ExecutorContext {
        ledger: ledger.clone(),
        objects: Arc::new(MemoryObjects::default()),
        outputs_room: OutputsRoom::default(),
        peers: Arc::new(Chorus(peers)),
        absent: Arc::default(),
        offers: KnownOffers::new(clock.clone()),
        clock,
        catalog: Arc::new(Catalog::builtin()),
        identity: ExecutorIdentity {
            name: "executor-1".parse().unwrap(),
            boot,
            kernel: "6.1".to_owned(),
            cpu_model: "test".to_owned(),
        },
        settings: AttemptSettings {
            attempts_max: 3,
            not_here_max: Duration::from_hours(24),
            newer_version_after: None,
        },
    }
}

/// A clock that goes with tokio's, so that a test that pauses time pauses this one, too.
#[derive(Debug)]
pub(crate) struct TokioClock(Instant);

impl TokioClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        instant(0) + self.0.elapsed()
    }
}

/// Peers that all say the same.
#[derive(Debug)]
pub(crate) struct Chorus(pub(crate) Held);

#[async_trait]
impl Peers for Chorus {
    async fn ask_holder(&self, _boot: BootId, _id: SubmissionId) -> Held {
        self.0
    }
}

/// What the queue was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Ack,
    Nak(Duration),
    InProgress,
}

/// A receipt that remembers.
#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<Vec<Said>>);

impl Memo {
    pub(crate) fn said(&self) -> Vec<Said> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, said: Said) {
        self.0.lock().unwrap().push(said);
    }
}

#[async_trait]
impl Acknowledge for Memo {
    async fn ack(&self) -> Result<(), QueueError> {
        self.note(Said::Ack);
        Ok(())
    }

    async fn nak(&self, delay: Duration) -> Result<(), QueueError> {
        self.note(Said::Nak(delay));
        Ok(())
    }

    async fn in_progress(&self) -> Result<(), QueueError> {
        self.note(Said::InProgress);
        Ok(())
    }
}
