//! Forgotten submissions, on a ledger in memory and with scripted cells.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use events::envelope::Writer;
use events::event::{CancellationRequested, Started};
use events::{BootId, Clock as _, Envelope, Event, Family, LedgerPosition, State, SubmissionId};
use ledger::memory::MemoryStore;
use ledger::{EventStore as _, Held, Ledger};
use tokio::sync::watch;
use uuid::Uuid;

use super::*;
use crate::attempt::{AckWait, ExecutorContext, HeldSubmissions};
use crate::cells::source::CellSource;
use crate::testing::{Act, Script, TokioClock, accepted, context};

const SETTLE_AFTER: Duration = Duration::from_mins(2);

#[derive(Debug)]
struct FakePorts {
    leads: watch::Sender<bool>,
    ledger: Ledger,
    floor: Mutex<Option<u64>>,
    /// By every queue.
    delivered: AtomicU64,
    script: Arc<Script>,
    /// Places that were asked for.
    places: AtomicU32,
}

#[async_trait]
impl SettlerPorts for FakePorts {
    async fn gain_lead(&self) {
        let mut leads = self.leads.subscribe();
        let _never_closed = leads.wait_for(|leads| *leads).await;
    }

    async fn keep_lead(&self) {
        let mut leads = self.leads.subscribe();
        let _never_closed = leads.wait_for(|leads| !*leads).await;
    }

    async fn leave_lead(&self) {
        self.leads.send_replace(false);
    }

    async fn floor(&self) -> Result<Option<LedgerPosition>, QueueError> {
        let floor = self.floor.lock().unwrap().unwrap_or_default();
        Ok(self.ledger.position_at(floor).await.unwrap())
    }

    async fn store_floor(&self, floor: u64) -> Result<(), QueueError> {
        *self.floor.lock().unwrap() = Some(floor);
        Ok(())
    }

    async fn delivered(&self, _queue: &QueueName) -> Result<u64, QueueError> {
        Ok(self.delivered.load(Ordering::SeqCst))
    }

    fn cells(&self, _lane: Lane) -> Box<dyn CellSource> {
        self.places.fetch_add(1, Ordering::SeqCst);
        Box::new(self.script.clone())
    }
}

/// A ledger, and an executor that settles its pool.
struct Given {
    clock: Arc<TokioClock>,
    store: Arc<MemoryStore>,
    ledger: Ledger,
    ports: Arc<FakePorts>,
    jobs: TaskTracker,
    settlers: TaskTracker,
    stop: CancellationToken,
    peers: Held,
}

impl Given {
    /// With a queue that has delivered everything.
    fn with(acts: impl IntoIterator<Item = Act>) -> Self {
        let clock = TokioClock::new();
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let ledger = Ledger::new(Arc::<MemoryStore>::clone(&store), clock.clone());
        let ports = FakePorts {
            ledger: ledger.clone(),
            leads: watch::Sender::new(true),
            floor: Mutex::default(),
            delivered: AtomicU64::new(u64::MAX),
            script: Script::new(acts),
            places: AtomicU32::new(0),
        };
        Self {
            store,
            ledger,
            clock,
            ports: Arc::new(ports),
            jobs: TaskTracker::new(),
            settlers: TaskTracker::new(),
            stop: CancellationToken::new(),
            peers: Held::Gone,
        }
    }

    fn settle(&self) {
        let context = context(&self.ledger, BootId::new(Uuid::from_u128(1)), self.peers);
        let settler = Settler {
            pool: "core".parse().unwrap(),
            settle_after: SETTLE_AFTER,
            ports: self.ports.clone(),
            deliveries: DeliveryHandler {
                context: ExecutorContext { clock: self.clock.clone(), ..context },
                ack_wait: AckWait::new(Duration::from_secs(8)),
                held: HeldSubmissions::default(),
                hand_back: CancellationToken::new(),
            },
            jobs: self.jobs.clone(),
            stop: self.stop.clone(),
        };
        self.settlers.spawn(settler.run());
    }

    async fn accept(&self, number: u128) -> SubmissionId {
        let id = SubmissionId::new(Uuid::from_u128(number));
        self.ledger.accept(id, accepted("python"), &other()).await.unwrap();
        id
    }

    async fn append(&self, id: SubmissionId, event: Event) {
        let mut aggregate = self.ledger.load(id).await.unwrap().unwrap();
        self.ledger.execute(&mut aggregate, event, &other()).await.unwrap();
    }

    async fn state(&self, id: SubmissionId) -> State {
        self.ledger.load(id).await.unwrap().unwrap().submission.state
    }

    fn taken(&self) -> u32 {
        *self.ports.script.taken.lock().unwrap()
    }
}

fn other() -> Writer {
    let instance = BootId::new(Uuid::from_u128(2));
    Writer { source: "/other".to_owned(), actor: "other".to_owned(), instance, traceparent: None }
}

fn started() -> Event {
    Event::Started(Started { boot_id: other().instance, ..events::testing::started(1) })
}

/// Longer than any look takes to come.
async fn some_looks() {
    sleep(SETTLE_AFTER + 3 * LOOK_EVERY_MAX).await;
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_submission_is_run() {
    let given = Given::with([]);
    let id = given.accept(1).await;
    given.settle();
    sleep(SETTLE_AFTER.checked_sub(LOOK_EVERY_MAX).unwrap()).await;
    assert_eq!(given.state(id).await, State::Accepted);
    some_looks().await;
    assert_eq!(given.state(id).await, State::Completed);
    // Once, and it is looked after no more.
    some_looks().await;
    assert_eq!(given.taken(), 1);
    let last = given.ledger.last_sequence().await.unwrap();
    assert_eq!(*given.ports.floor.lock().unwrap(), Some(last));
}

#[tokio::test(start_paused = true)]
async fn what_only_a_newer_executor_can_read_is_left_to_it_with_the_lead() {
    let given = Given::with([]);
    let id = given.accept(1).await;
    let first = given.store.get(1).await.unwrap().unwrap();
    let newer = String::from_utf8(first.payload.to_vec()).unwrap();
    given.store.put_raw("ledger.problem.x", newer.replace("accepted:2\"", "accepted:3\""));
    given.settle();
    some_looks().await;
    assert!(!*given.ports.leads.borrow());
    assert_eq!(given.state(id).await, State::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_is_forgotten_is_carried_out() {
    let given = Given::with([]);
    let id = given.accept(1).await;
    given.append(id, started()).await;
    let request = CancellationRequested { by: "user:u".to_owned(), reason: None };
    given.append(id, Event::CancellationRequested(request)).await;
    assert_eq!(given.state(id).await, State::Cancelling);
    given.settle();
    some_looks().await;
    assert_eq!((given.state(id).await, given.taken()), (State::Cancelled, 0));
}

#[tokio::test(start_paused = true)]
async fn the_attempt_of_an_executor_that_is_gone_is_taken_over() {
    let given = Given::with([]);
    let id = given.accept(1).await;
    given.append(id, started()).await;
    given.settle();
    // It must not answer twice.
    some_looks().await;
    some_looks().await;
    let submission = given.ledger.load(id).await.unwrap().unwrap().submission;
    assert_eq!((submission.state, submission.attempts.len()), (State::Completed, 2));
}

#[tokio::test(start_paused = true)]
async fn what_runs_elsewhere_costs_a_question_and_no_other_submission_its_turn() {
    let given = Given { peers: Held::Yes, ..Given::with([]) };
    let mut running = Vec::new();
    for number in 0..TAKEN_UP_MAX {
        running.push(given.accept(number as u128).await);
    }
    for id in &running {
        given.append(*id, started()).await;
    }
    let forgotten = given.accept(99).await;
    given.settle();
    some_looks().await;
    assert_eq!(given.state(forgotten).await, State::Completed);
    for id in running {
        assert_eq!(given.state(id).await, State::Running);
    }
    assert_eq!(given.taken(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_queue_is_left_alone() {
    let given = Given::with([]);
    let (delivered, waiting) = (given.accept(1).await, given.accept(2).await);
    given.ports.delivered.store(1, Ordering::SeqCst);
    given.settle();
    some_looks().await;
    assert_eq!(given.state(delivered).await, State::Completed);
    assert_eq!(given.state(waiting).await, State::Accepted);
    // It is where the next settler begins.
    assert_eq!(*given.ports.floor.lock().unwrap(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_here_is_not_taken_up_again() {
    let given = Given::with([Act::Hang]);
    given.accept(1).await;
    given.settle();
    some_looks().await;
    some_looks().await;
    assert_eq!((given.taken(), given.ports.places.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_illegal_end_leaves_no_submission_without_one() {
    let given = Given::with([]);
    let id = given.accept(1).await;
    let end = Event::Completed(Box::new(events::testing::completed(1)));
    let (_, end) = Envelope::write(id, end, &other(), None, given.clock.now());
    let aggregate = given.ledger.load(id).await.unwrap().unwrap();
    let outcome = aggregate.subject.in_family(Family::Outcome).to_string();
    given.store.put_raw(&outcome, end);
    given.settle();
    some_looks().await;
    let aggregate = given.ledger.load(id).await.unwrap().unwrap();
    assert_eq!((aggregate.submission.state, aggregate.violations), (State::Completed, 1));
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_after_the_end_does_not_hold_the_floor() {
    let given = Given::with([]);
    let id = given.accept(1).await;
    given.settle();
    some_looks().await;
    assert_eq!(given.state(id).await, State::Completed);
    let first = given.store.get(1).await.unwrap().unwrap();
    given.store.put_raw(&first.subject, first.payload);
    some_looks().await;
    some_looks().await;
    let last = given.ledger.last_sequence().await.unwrap();
    assert_eq!((*given.ports.floor.lock().unwrap(), given.taken()), (Some(last), 1));
}

#[tokio::test(start_paused = true)]
async fn only_the_executor_that_leads_settles() {
    let given = Given::with([]);
    given.ports.leads.send_replace(false);
    let id = given.accept(1).await;
    given.settle();
    some_looks().await;
    assert_eq!(given.state(id).await, State::Accepted);
    given.ports.leads.send_replace(true);
    some_looks().await;
    assert_eq!(given.state(id).await, State::Completed);
    // And no more when it has lost the lead.
    given.ports.leads.send_replace(false);
    some_looks().await;
    let next = given.accept(2).await;
    some_looks().await;
    assert_eq!(given.state(next).await, State::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_settler_begins_at_its_floor_if_the_ledger_has_it() {
    for (floor, is_found) in [(1, false), (7, true)] {
        let given = Given::with([]);
        *given.ports.floor.lock().unwrap() = Some(floor);
        let id = given.accept(1).await;
        given.settle();
        some_looks().await;
        assert_eq!(given.state(id).await.is_terminal(), is_found, "floor {floor}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_settler_ends_with_its_executor() {
    let given = Given::with([]);
    given.settle();
    some_looks().await;
    given.stop.cancel();
    given.settlers.close();
    given.settlers.wait().await;
}
