//! The pool with cells that exist on paper only.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use events::{BootId, Digest};
use futures::{FutureExt, StreamExt};
use sandbox::protocol::{
    ExceededLimit, PROTOCOL_VERSION, Ready, Response, Stage, StageExit, StageLimits, StageOutput,
    StageReport, StageUsage, encode,
};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio_util::io::ReaderStream;

use super::*;
use crate::cells::cell::{AttachedCell, CellError};
use crate::cells::container_flags::Allowance;
use crate::cells::engine::{ContainerId, EngineError};
use crate::cells::maker::{MadeCell, MakeError};
use crate::cells::pipes::{Chunk, Pipes};
use crate::cells::refiller::INSPECT_EVERY;
use crate::cells::slot::Slot;

const START: Duration = Duration::from_millis(100);

/// Makes cells in a tenth of a second each, and knows which exist.
#[derive(Debug, Default)]
struct Paper {
    made: AtomicU32,
    at_once: AtomicU32,
    at_once_max: AtomicU32,
    broken: AtomicBool,
    /// How many more changes of a container are refused.
    updates_refused: AtomicU32,
    /// Containers that stay, whatever is asked.
    stuck: Mutex<HashSet<String>>,
    cells: Mutex<Vec<(ContainerId, DuplexStream, u32)>>,
    holders: Mutex<HashSet<String>>,
    allowance: Option<Allowance>,
}

impl Paper {
    fn new() -> Arc<Self> {
        let allowance = Allowance {
            memory_bytes: 1,
            overhead_bytes: 0,
            nano_cpus: 1,
            processes: 1,
            box_kib: 1,
            tmp_kib: 1,
            files: 1,
            runtime: None,
            cgroup_parent: None,
        };
        Arc::new(Self { allowance: Some(allowance), ..Self::default() })
    }

    fn boot() -> BootId {
        BootId::new(uuid::Uuid::nil())
    }

    fn live(&self) -> usize {
        self.cells.lock().unwrap().len()
    }

    /// Has the first cell say something, or end.
    async fn say(&self, report: Option<StageReport>) {
        // Not before it was asked.
        tokio::task::yield_now().await;
        let mut end = std::mem::replace(&mut self.cells.lock().unwrap()[0].1, duplex(1).0);
        if let Some(report) = report {
            end.write_all(&encode(&Response::Ran(report)).unwrap()).await.unwrap();
            self.cells.lock().unwrap()[0].1 = end;
        }
    }

    /// Ends a cell behind everyone's back.
    fn kill_one(&self) {
        let mut cells = self.cells.lock().unwrap();
        cells[0].1 = duplex(1).0;
    }
}

fn refused(message: String, call: &'static str) -> EngineError {
    let source = bollard::errors::Error::DockerResponseServerError { status_code: 500, message };
    EngineError::Call { call, source }
}

#[async_trait]
impl Maker for Paper {
    async fn make(&self, tag: &str, slot: &mut Slot) -> Result<MadeCell, MakeError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once_max.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(START).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            let message = format!("{tag}: no space left on device");
            return Err(refused(message, "start a container").into());
        }
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        if slot.holder.is_none() {
            let holder = format!("holder-{number}");
            self.holders.lock().unwrap().insert(holder.clone());
            slot.holder = Some(ContainerId::new(holder));
        }
        let (mut theirs, ours) = duplex(1024);
        let ready = Response::Ready(Ready { protocol_version: PROTOCOL_VERSION });
        theirs.write_all(&encode(&ready).unwrap()).await.unwrap();
        let output = ReaderStream::new(ours).map(|chunk| chunk.map(Chunk::Stdout)).boxed();
        let pipes = Pipes { input: Box::pin(tokio::io::sink()), output };
        let cell = AttachedCell::greet(pipes, START).await.map_err(MakeError::Greeting)?;
        let id = ContainerId::new(format!("cell-{number}"));
        let base = slot.uid_base(Self::boot());
        self.cells.lock().unwrap().push((id.clone(), theirs, base));
        Ok(MadeCell { id, image_id: "sha256:0".to_owned(), cell })
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        tokio::time::sleep(START / 10).await;
        if self.stuck.lock().unwrap().contains(id.as_str()) {
            return Err(refused("device or resource busy".to_owned(), "remove a container"));
        }
        self.cells.lock().unwrap().retain(|(cell, _, _)| cell != id);
        self.holders.lock().unwrap().remove(id.as_str());
        Ok(())
    }

    async fn limit_memory(&self, _id: &ContainerId, _bytes: u64) -> Result<(), EngineError> {
        let left = self.updates_refused.load(Ordering::SeqCst);
        if left > 0 {
            self.updates_refused.store(left - 1, Ordering::SeqCst);
            return Err(refused("too busy".to_owned(), "update a container"));
        }
        Ok(())
    }

    async fn was_out_of_memory(&self, _id: &ContainerId) -> Result<bool, EngineError> {
        Ok(true)
    }

    fn allowance(&self) -> &Allowance {
        self.allowance.as_ref().unwrap()
    }

    fn profile(&self) -> Digest {
        Digest::of(b"")
    }
}

fn pool(paper: &Arc<Paper>, busy_max: usize, warm_min: usize, warm_max: usize) -> Pool {
    let image = Image { name: "core".to_owned(), tag: "core:test".to_owned() };
    let size = PoolSize { warm_min, warm_max, refillers: 2 };
    let places =
        PlaceLimits { lanes: vec![lane()], processors: busy_max, busy_max, memory_bytes: 1 << 40 };
    Pool::start(paper.clone(), vec![image], size, &places)
}

fn lane() -> (Lane, PoolName) {
    (Lane::Run, "core".parse().unwrap())
}

async fn reserve(pool: &Pool) -> Reservation {
    pool.reserve(&lane(), &["core".to_owned()]).await.unwrap()
}

async fn take(pool: &Pool) -> Lease {
    reserve(pool).await.lease("core", 1).await.unwrap()
}

/// Long enough for anything that is under way, and too short for demand to change.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(4)).await;
}

#[tokio::test(start_paused = true)]
async fn the_shelf_is_filled_by_as_many_at_once_as_allowed() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 5, 5);
    settle().await;
    assert_eq!((pool.warm("core"), paper.live()), (5, 5));
    assert_eq!(paper.at_once_max.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_warm_cell_is_had_at_once_and_replaced_when_there_is_peace() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 4, 4);
    settle().await;
    let lease = take(&pool).now_or_never().expect("no wait");
    settle().await;
    assert_eq!(pool.warm("core"), 3, "the run is left in peace");
    drop(lease);
    settle().await;
    assert_eq!((pool.warm("core"), paper.live()), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_shelf_that_runs_low_is_refilled_while_programs_run() {
    let paper = Paper::new();
    let pool = pool(&paper, 8, 4, 4);
    settle().await;
    let leases = [take(&pool).await, take(&pool).await, take(&pool).await];
    settle().await;
    assert_eq!(pool.warm("core"), 2);
    drop(leases);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_there_are_places() {
    let paper = Paper::new();
    let pool = pool(&paper, 2, 4, 4);
    settle().await;
    let (first, _second) = (take(&pool).await, take(&pool).await);
    assert!(pool.reserve(&lane(), &["core".to_owned()]).now_or_never().is_none());
    drop(first);
    assert!(pool.reserve(&lane(), &["core".to_owned()]).now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_not_used_is_given_back() {
    let paper = Paper::new();
    let pool = pool(&paper, 1, 1, 1);
    settle().await;
    drop(reserve(&pool).await);
    drop(take(&pool).now_or_never().expect("the cell and the place are free again"));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_waits_with_a_cell_keeps_no_other_queue_from_one() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 2, 2);
    settle().await;
    // One submission runs for long, and its queue waits with the other cell.
    let (_long, _waiting) = (take(&pool).await, reserve(&pool).await);
    let other = tokio::time::timeout(INSPECT_EVERY, reserve(&pool)).await;
    drop(other.expect("a cell is made for it meanwhile"));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_given_back_is_another_submission_s() {
    let paper = Paper::new();
    let pool = pool(&paper, 1, 1, 1);
    let mut asking = reserve(&pool).await;
    asking.give_back();
    drop(take(&pool).await);
    // It is had again when it is needed.
    drop(asking.lease("core", 1).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn live_cells_have_different_uids_and_slots_are_used_again() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 3, 3);
    for _ in 0..20 {
        let lease = take(&pool).await;
        let bases: HashSet<u32> = paper.cells.lock().unwrap().iter().map(|cell| cell.2).collect();
        assert_eq!(bases.len(), paper.live());
        drop(lease);
    }
    settle().await;
    assert!(paper.made.load(Ordering::SeqCst) > 20);
    assert!(paper.holders.lock().unwrap().len() <= 8, "a holder serves one cell after another");
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_died_on_the_shelf_is_not_handed_out() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 1, 1);
    settle().await;
    paper.kill_one();
    let mut lease = take(&pool).await;
    assert!(lease.is_waiting());
    assert_eq!(paper.made.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn dead_cells_are_noticed_while_nobody_asks() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 2, 2);
    settle().await;
    paper.kill_one();
    tokio::time::sleep(INSPECT_EVERY * 2).await;
    assert_eq!((pool.warm("core"), paper.live()), (2, 2));
    assert_eq!(paper.made.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn demand_raises_the_shelf_and_calm_lowers_it() {
    let paper = Paper::new();
    let pool = pool(&paper, 8, 2, 8);
    settle().await;
    for _ in 0..6 {
        drop(take(&pool).await);
    }
    settle().await;
    assert!(pool.warm("core") > 2);
    tokio::time::sleep(Duration::from_mins(20)).await;
    assert_eq!((pool.warm("core"), paper.live()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_waits_does_not_keep_the_shelf_from_being_filled() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 4, 4);
    let waiting = reserve(&pool).await;
    settle().await;
    // The four, and the one that it waits with.
    assert_eq!(pool.warm("core"), 5);
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_and_ends_by_itself() {
    let paper = Paper::new();
    paper.broken.store(true, Ordering::SeqCst);
    let pool = pool(&paper, 4, 2, 2);
    settle().await;
    assert!(pool.failure().unwrap().contains("core:test: no space left on device"));
    // It is tried now and then, and not in a loop.
    let waiting = reserve(&pool);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(paper.live(), 0);
    paper.broken.store(false, Ordering::SeqCst);
    drop(waiting.await);
    assert_eq!(pool.failure(), None);
}

#[tokio::test(start_paused = true)]
async fn containers_that_cannot_be_removed_hold_up_no_others_and_are_told() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 2, 2);
    settle().await;
    paper.stuck.lock().unwrap().extend(["cell-0".to_owned(), "cell-1".to_owned()]);
    for _ in 0..10 {
        drop(take(&pool).await);
        settle().await;
    }
    // Two are warm, and two are stuck.
    assert_eq!(paper.live(), 4);
    let told = pool.failure().unwrap();
    assert!(told.contains("2 containers") && told.contains("resource busy"), "{told}");
    paper.stuck.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!((paper.live(), pool.failure()), (2, None));
}

/// What was logged, as text.
#[derive(Clone, Debug, Default)]
struct LogText(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for LogText {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_says_why_cells_cannot_be_made_once_and_with_every_cause() {
    let log = LogText::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(lines.finish());
    let paper = Paper::new();
    paper.broken.store(true, Ordering::SeqCst);
    let pool = pool(&paper, 4, 2, 2);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("cannot be made")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    for cause in ["the engine failed to start a container", "no space left on device"] {
        assert!(lines[0].contains(cause), "{text}");
        assert!(pool.failure().unwrap().contains(cause));
    }
}

#[tokio::test(start_paused = true)]
async fn closing_leaves_nothing_and_ends_all_waits() {
    let paper = Paper::new();
    let pool = pool(&paper, 4, 3, 3);
    settle().await;
    let lease = take(&pool).await;
    let other = pool.clone();
    let images = ["nothing".to_owned()];
    assert!(matches!(pool.reserve(&lane(), &images).await, Err(NoCellError::UnknownImage(_))));
    let ending = async {
        tokio::task::yield_now().await;
        drop(lease);
    };
    tokio::join!(pool.close(), ending);
    assert_eq!((paper.live(), paper.holders.lock().unwrap().len()), (0, 0));
    let refused = other.reserve(&lane(), &["core".to_owned()]).await;
    assert!(matches!(refused, Err(NoCellError::Closed)));
}

fn stage() -> Stage {
    let limits = StageLimits {
        cpu_time_ms: 1,
        wall_time_ms: 1,
        memory_kib: 1,
        stack_kib: 1,
        output_bytes: 1,
        file_size_kib: 1,
        processes: 1,
    };
    Stage { argv: vec!["true".to_owned()], stdin: Vec::new(), limits }
}

fn report(exit: StageExit, stopped: Option<ExceededLimit>) -> StageReport {
    StageReport {
        exit,
        stopped,
        usage: StageUsage::default(),
        stdout: StageOutput::default(),
        stderr: StageOutput::default(),
    }
}

async fn run(
    lease: &mut Lease,
    paper: &Paper,
    says: Option<StageReport>,
) -> Result<StageReport, CellError> {
    tokio::join!(lease.run_program(stage(), 1), paper.say(says)).0
}

#[tokio::test(start_paused = true)]
async fn a_dead_cell_died_for_memory_only_if_no_stage_before_had_done_so() {
    let paper = Paper::new();
    let pool = pool(&paper, 1, 1, 1);
    let mut lease = take(&pool).await;
    let died = run(&mut lease, &paper, None).await;
    assert!(matches!(died, Err(CellError::Died { oom_killed: true, .. })), "{died:?}");
    drop(lease);

    let mut lease = take(&pool).await;
    let greedy = report(StageExit::Signal(9), Some(ExceededLimit::Memory));
    run(&mut lease, &paper, Some(greedy)).await.unwrap();
    let died = run(&mut lease, &paper, None).await;
    assert!(matches!(died, Err(CellError::Died { oom_killed: false, .. })), "{died:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_busy_for_a_while_costs_no_cell() {
    let paper = Paper::new();
    let pool = pool(&paper, 1, 1, 1);
    let mut lease = take(&pool).await;
    paper.updates_refused.store(3, Ordering::SeqCst);
    let answer = async {
        // By then the engine was asked a fourth time.
        tokio::time::sleep(Duration::from_secs(2)).await;
        paper.say(Some(report(StageExit::Code(0), None))).await;
    };
    let (ran, ()) = tokio::join!(lease.run_program(stage(), 2), answer);
    ran.unwrap();
    // Not for ever: another executor's engine may have more time.
    paper.updates_refused.store(u32::MAX, Ordering::SeqCst);
    let refused = lease.run_program(stage(), 3).await.unwrap_err();
    assert!(matches!(refused, CellError::Limits(_)), "{refused:?}");
}
