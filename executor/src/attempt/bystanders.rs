//! Submissions that die with their executor though only one of them takes it down: the others come
//! to their verdict.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::envelope::Writer;
use events::{BootId, State, SubmissionId};
use ledger::memory::MemoryStore;
use ledger::{Held, Job, Ledger, Stored};
use sandbox::protocol::{Prepare, Prepared, Stage, StageReport};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::simulation::{Message, Population};
use super::{AckWait, DeliveryHandler, ExecutorContext, HeldSubmissions};
use crate::cells::cell::CellError;
use crate::cells::source::{CellSource, LeasedCell, Provenance};
use crate::cells::warm_cells::NoCellError;
use crate::testing::{Act, Script, TokioClock, accepted, context, prints};

const SUBMISSIONS: u128 = 5;
/// The one that takes its executor down.
const GUILTY: u128 = 2;
/// How long each runs, unless its executor ends before.
const RUN_TIME: Duration = Duration::from_secs(10);

/// Cells of one executor, which heeds that some run alone.
#[derive(Debug)]
struct SharedCells {
    script: Arc<Script>,
    company: Arc<RwLock<()>>,
    alone: bool,
}

#[derive(Debug)]
enum Company {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Whole { _guard: OwnedRwLockWriteGuard<()> },
}

#[derive(Debug)]
struct CompanyCell {
    cell: Box<dyn LeasedCell>,
    _company: Company,
}

#[async_trait]
impl CellSource for SharedCells {
    fn give_back(&mut self) {}

    fn run_alone(&mut self) {
        self.alone = true;
    }

    async fn take_cell(
        &mut self,
        image: &str,
        memory_bytes: u64,
    ) -> Result<Box<dyn LeasedCell>, NoCellError> {
        let company = self.company.clone();
        let held = if self.alone {
            Company::Whole { _guard: company.write_owned().await }
        } else {
            Company::Shared { _guard: company.read_owned().await }
        };
        Ok(Box::new(CompanyCell {
            cell: self.script.take_cell(image, memory_bytes).await?,
            _company: held,
        }))
    }
}

#[async_trait]
impl LeasedCell for CompanyCell {
    fn provenance(&self) -> &Provenance {
        self.cell.provenance()
    }

    async fn prepare(
        &mut self,
        prepare: Prepare,
        memory_bytes: u64,
    ) -> Result<Prepared, CellError> {
        self.cell.prepare(prepare, memory_bytes).await
    }

    async fn run_program(
        &mut self,
        stage: Stage,
        memory_bytes: u64,
    ) -> Result<StageReport, CellError> {
        self.cell.run_program(stage, memory_bytes).await
    }
}

/// One executor after another, and a queue that delivers to the one that lives.
struct Host {
    ledger: Ledger,
    clock: Arc<TokioClock>,
    population: Arc<Population>,
    queue: Vec<(Stored, Arc<Message>)>,
    tracker: TaskTracker,
}

impl Host {
    async fn new() -> Self {
        let clock = TokioClock::new();
        let ledger = Ledger::new(Arc::new(MemoryStore::new(clock.clone())), clock.clone());
        let mut queue = Vec::new();
        for number in 0..SUBMISSIONS {
            ledger.accept(id(number), accepted("python"), &user()).await.unwrap();
            queue.push((ledger.history(id(number)).await.unwrap().remove(0), Message::new()));
        }
        let (population, tracker) = (Arc::default(), TaskTracker::new());
        Self { ledger, clock, population, queue, tracker }
    }

    /// Lets an executor live until it dies of the guilty submission, or has nothing left to do.
    async fn live(&self, life: u128) {
        let (boot, held) = (BootId::new(Uuid::from_u128(life)), HeldSubmissions::default());
        self.population.0.lock().unwrap().insert(boot, held.clone());
        let deliveries = DeliveryHandler {
            context: ExecutorContext {
                peers: Arc::new(self.population.clone()),
                clock: self.clock.clone(),
                ..context(&self.ledger, boot, Held::Gone)
            },
            ack_wait: AckWait::new(Duration::from_secs(8)),
            held,
            hand_back: CancellationToken::new(),
        };
        let company = Arc::new(RwLock::new(()));
        let ends = Act::EndAfter(RUN_TIME, Box::new(prints(b"ok")));
        let innocent = Script::new(vec![ends; 2 * SUBMISSIONS as usize]);
        let guilty = Script::new([Act::Hang]);
        let mut tasks: Vec<AbortHandle> = Vec::new();
        let delivering = async {
            while !self.queue.iter().all(|(_, message)| message.is_done()) {
                for (stored, message) in self.queue.iter().filter(|(_, message)| message.take()) {
                    let is_guilty = stored.subject.id == id(GUILTY);
                    let script = if is_guilty { guilty.clone() } else { innocent.clone() };
                    let mut cells = SharedCells { script, company: company.clone(), alone: false };
                    let job = Job::new(stored.clone(), 2, message.clone()).unwrap();
                    let deliveries = deliveries.clone();
                    let task = self.tracker.spawn(async move {
                        deliveries.handle_delivery(job, &mut cells).await;
                    });
                    tasks.push(task.abort_handle());
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let dying = async {
            guilty.begun.notified().await;
            sleep(RUN_TIME / 10).await;
        };
        tokio::select! {
            () = delivering => {}
            () = dying => {}
        }
        self.population.0.lock().unwrap().remove(&boot);
        tasks.iter().for_each(AbortHandle::abort);
    }
}

fn id(number: u128) -> SubmissionId {
    SubmissionId::new(Uuid::from_u128(number))
}

fn user() -> Writer {
    let instance = BootId::new(Uuid::from_u128(u128::MAX));
    Writer { source: "/user".to_owned(), actor: "user".to_owned(), instance, traceparent: None }
}

#[tokio::test(start_paused = true)]
async fn the_innocent_ones_complete_though_their_executor_dies_three_times() {
    let host = Host::new().await;
    let mut lives = 0;
    while !host.queue.iter().all(|(_, message)| message.is_done()) {
        lives += 1;
        assert!(lives < 10, "the submissions do not end");
        host.live(lives).await;
    }
    let mut states = HashMap::new();
    for number in 0..SUBMISSIONS {
        let submission = host.ledger.load(id(number)).await.unwrap().unwrap().submission;
        // They were all lost together twice.
        assert_eq!(submission.attempts.len(), 3, "{number}");
        states.insert(number, submission.state);
    }
    for (number, state) in states {
        let expected = if number == GUILTY { State::Failed } else { State::Completed };
        assert_eq!(state, expected, "{number}");
    }
    assert_eq!(lives, 4);
}
