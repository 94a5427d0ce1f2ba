//! A seeded simulation: executors that live and die, some of them of another release, a queue that
//! delivers again, a ledger that loses answers, users who cancel. Whatever happens, a submission
//! comes to exactly one end, and its history is legal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use events::envelope::Writer;
use events::event::{CancellationRequested, Event, FailureClass};
use events::{BootId, ExecutorName, SubmissionId};
use ledger::memory::{Checks, MemoryStore, Mishap};
use ledger::{Acknowledge, Held, Job, Ledger, QueueError, Stored};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::languages::Catalog;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{AckWait, DeliveryHandler, ExecutorContext, ExecutorIdentity, HeldSubmissions};
use crate::peers::Peers;
use crate::testing::{Act, Script, TokioClock, accepted_with_cases, context, fails, prints};

const ACK_WAIT: Duration = Duration::from_secs(30);
const SEEDS: u64 = 64;

/// Who is alive, and what they hold.
#[derive(Debug, Default)]
pub(super) struct Population(pub(super) Mutex<HashMap<BootId, HeldSubmissions>>);

#[async_trait]
impl Peers for Arc<Population> {
    async fn ask_holder(&self, boot: BootId, id: SubmissionId) -> Held {
        match self.0.lock().unwrap().get(&boot) {
            Some(held) if held.contains(id) => Held::Yes,
            Some(_) => Held::No,
            None => Held::Gone,
        }
    }
}

/// What the queue knows of a message.
#[derive(Debug)]
pub(super) struct Message {
    done: AtomicBool,
    due: Mutex<Instant>,
}

impl Message {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { done: AtomicBool::new(false), due: Mutex::new(Instant::now()) })
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    /// Takes it for delivery, if it is due.
    pub(super) fn take(&self) -> bool {
        let is_due = !self.is_done() && *self.due.lock().unwrap() <= Instant::now();
        if is_due {
            self.due_in(ACK_WAIT);
        }
        is_due
    }

    fn due_in(&self, delay: Duration) {
        *self.due.lock().unwrap() = Instant::now() + delay;
    }
}

#[async_trait]
impl Acknowledge for Message {
    async fn ack(&self) -> Result<(), QueueError> {
        self.done.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn nak(&self, delay: Duration) -> Result<(), QueueError> {
        self.due_in(delay);
        Ok(())
    }

    async fn in_progress(&self) -> Result<(), QueueError> {
        self.due_in(ACK_WAIT);
        Ok(())
    }
}

struct Life {
    boot: BootId,
    /// Whether its table has the version that was accepted.
    has_language: bool,
    deliveries: DeliveryHandler,
    tasks: Vec<AbortHandle>,
}

struct World {
    random: StdRng,
    store: Arc<MemoryStore>,
    ledger: Ledger,
    clock: Arc<TokioClock>,
    message: Arc<Message>,
    accepted: Stored,
    population: Arc<Population>,
    lives: Vec<Life>,
    born: u128,
    delivered: u64,
    tracker: TaskTracker,
}

fn id() -> SubmissionId {
    SubmissionId::new(Uuid::from_u128(0x51))
}

fn user() -> Writer {
    let instance = BootId::new(Uuid::from_u128(u128::MAX));
    Writer { source: "/user".to_owned(), actor: "user".to_owned(), instance, traceparent: None }
}

/// A table in which every language has another version.
fn other_release() -> Catalog {
    let table = include_str!("../../../sandbox/languages.toml");
    Catalog::parse(&table.replace("version = \"", "version = \"9")).expect("a sound table")
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let clock = TokioClock::new();
        let checks = if random.random_bool(0.5) { Checks::IdFirst } else { Checks::SequenceFirst };
        let store = Arc::new(MemoryStore::new(clock.clone()).with_checks(checks));
        let ledger = Ledger::new(store.clone(), clock.clone());
        let slug = if random.random_bool(0.5) { "cpp" } else { "python" };
        let submission = accepted_with_cases(slug, random.random_range(0..40));
        ledger.accept(id(), submission, &user()).await.expect("it is the first");
        let accepted = ledger.history(id()).await.expect("memory").remove(0);
        let mut world = Self {
            random,
            store,
            ledger,
            clock,
            message: Message::new(),
            accepted,
            population: Arc::default(),
            lives: Vec::new(),
            born: 0,
            delivered: 0,
            tracker: TaskTracker::new(),
        };
        world.bear();
        world.bear();
        world
    }

    fn bear(&mut self) {
        self.born += 1;
        let (boot, held) = (BootId::new(Uuid::from_u128(self.born)), HeldSubmissions::default());
        self.population.0.lock().expect("unpoisoned").insert(boot, held.clone());
        // A deploy rolls, and one executor at least can run the submission at any time.
        let others = self.lives.iter().any(|life| life.has_language);
        let has_language = !others || self.random.random_bool(0.5);
        let catalog = if has_language { Catalog::builtin() } else { other_release() };
        let name: ExecutorName = format!("executor-{}", self.born).parse().expect("a token");
        let basic = context(&self.ledger, boot, Held::Gone);
        let identity = ExecutorIdentity { name, ..basic.identity };
        let peers = Arc::new(self.population.clone());
        let clock = self.clock.clone();
        let catalog = Arc::new(catalog);
        let context = ExecutorContext { peers, catalog, clock, identity, ..basic };
        let deliveries = DeliveryHandler {
            context,
            ack_wait: AckWait::new(ACK_WAIT),
            held,
            hand_back: CancellationToken::new(),
        };
        self.lives.push(Life { boot, has_language, deliveries, tasks: Vec::new() });
    }

    /// `kill -9`: everything that this life does ends where it is.
    fn kill(&mut self) {
        let victim = self.random.random_range(0..self.lives.len());
        let life = self.lives.swap_remove(victim);
        self.population.0.lock().expect("unpoisoned").remove(&life.boot);
        life.tasks.iter().for_each(AbortHandle::abort);
        self.bear();
    }

    /// SIGTERM with no grace: what runs is handed back.
    fn retire(&mut self) {
        let retiring = self.random.random_range(0..self.lives.len());
        let life = self.lives.swap_remove(retiring);
        life.deliveries.hand_back.cancel();
        self.bear();
    }

    fn script(&mut self) -> Arc<Script> {
        let random = &mut self.random;
        let acts: Vec<Act> = (0..random.random_range(0..60))
            .map(|_| match random.random_range(0..40) {
                0 => Act::Die { oom_killed: random.random_bool(0.5) },
                1..=4 => Act::End(Box::new(fails(1))),
                5..=9 => Act::EndAfter(
                    Duration::from_secs(random.random_range(1..20)),
                    Box::new(prints(b"ok")),
                ),
                _ => Act::EndAfter(
                    Duration::from_millis(random.random_range(1..300)),
                    Box::new(prints(b"ok")),
                ),
            })
            .collect();
        Script::new(acts)
    }

    /// Delivers the message to somebody, when it is due.
    fn deliver(&mut self) {
        if !self.message.take() {
            return;
        }
        self.delivered += 1;
        // Delivery counts can go back over a crash of the server.
        let delivered = if self.random.random_bool(0.2) { 1 } else { self.delivered };
        let job = Job::new(self.accepted.clone(), delivered, self.message.clone()).unwrap();
        let mut script = self.script();
        let taker = self.random.random_range(0..self.lives.len());
        let deliveries = self.lives[taker].deliveries.clone();
        let task =
            self.tracker.spawn(async move { deliveries.handle_delivery(job, &mut script).await });
        self.lives[taker].tasks.push(task.abort_handle());
    }

    fn disturb(&mut self) {
        const MISHAPS: [Mishap; 5] =
            [Mishap::AnswerLost, Mishap::RequestLost, Mishap::InFlight, Mishap::Away, Mishap::Full];
        match self.random.random_range(0..100) {
            0..=2 => self.kill(),
            3 => self.retire(),
            4..=9 => {
                let some = (0..self.random.random_range(1..4))
                    .map(|_| MISHAPS[self.random.random_range(0..5)]);
                self.store.arrange(some.collect::<Vec<_>>());
            }
            // An impatient queue: a heartbeat was late.
            10 => self.message.due_in(Duration::ZERO),
            _ => {}
        }
    }

    async fn cancel(&self) {
        let mut aggregate = self.ledger.load(id()).await.expect("memory").expect("it is there");
        let request = CancellationRequested { by: "user".to_owned(), reason: None };
        let requested = Event::CancellationRequested(request);
        // Too late is an answer, too.
        if self.ledger.execute(&mut aggregate, requested, &user()).await.is_ok() {
            self.lives.iter().for_each(|life| life.deliveries.held.ring(id()));
        }
    }

    /// Lets time pass until the queue is told that all is done.
    async fn play(&mut self, seed: u64) {
        let cancels_at = self.random.random_bool(0.2).then(|| self.random.random_range(1..60));
        for step in 0.. {
            assert!(step < 50_000, "the submission does not come to an end, seed {seed}");
            if self.message.is_done() {
                return;
            }
            // Trouble ends some time.
            if step < 400 {
                self.disturb();
            }
            if cancels_at == Some(step) {
                self.cancel().await;
            }
            self.deliver();
            sleep(Duration::from_millis(self.random.random_range(1..500))).await;
        }
    }

    async fn check(&self, seed: u64) {
        let history = self.ledger.history(id()).await.expect("memory");
        let aggregate = self.ledger.load(id()).await.expect("memory").expect("it is there");
        assert_eq!(aggregate.violations, 0, "seed {seed}");
        let events = || history.iter().map(|stored| &stored.recorded.envelope);
        let ends = events().filter(|envelope| envelope.event.is_terminal()).count();
        assert_eq!(ends, 1, "seed {seed}");
        assert!(history.last().is_some_and(|last| last.recorded.envelope.event.is_terminal()));
        // The chain: each event names the hash of the one before it.
        for pair in history.windows(2) {
            assert_eq!(
                pair[1].recorded.envelope.previous,
                Some(pair[0].recorded.digest),
                "seed {seed}"
            );
        }
        // Outcomes of an attempt come from its starter.
        let mut starter = None;
        for envelope in events() {
            match &envelope.event {
                Event::Started(_) => starter = Some(&envelope.source),
                Event::Compiled(_) | Event::Judged(_) | Event::Completed(_) => {
                    assert_eq!(starter, Some(&envelope.source), "seed {seed}");
                }
                // Not for want of the language, since one executor always had it.
                Event::Failed(failed) => {
                    assert_eq!(failed.class, FailureClass::AttemptsExhausted, "seed {seed}");
                }
                Event::Accepted(_)
                | Event::Lost(_)
                | Event::CancellationRequested(_)
                | Event::Cancelled(_) => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_submission_comes_to_exactly_one_legal_end() {
    let mut kinds: HashMap<&'static str, u32> = HashMap::new();
    for seed in 0..SEEDS {
        let mut world = World::new(seed).await;
        world.play(seed).await;
        world.check(seed).await;
        for stored in world.ledger.history(id()).await.unwrap() {
            *kinds.entry(stored.recorded.envelope.event.kind()).or_default() += 1;
        }
    }
    // Every kind of event was met, or this simulates less than it says.
    for kind in Event::KINDS {
        assert!(kinds.get(kind).is_some_and(|count| *count > 0), "no {kind} in {kinds:?}");
    }
}
