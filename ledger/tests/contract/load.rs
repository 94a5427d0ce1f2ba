//! What is asked of every real deployment, whatever its number of servers: races, lost answers,
//! crashes under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use events::{Lane, Rejection, SubmissionId};
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::BoxStream;
use ledger::store::{Ack, Message, Publication, PublishError};
use ledger::verify::verify_chain;
use ledger::{
    Accepting, Connection, EventStore, ExecuteError, Fault, Ledger, LedgerEntry, LedgerExtent,
    StorageUsage, Worker,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::common::{accepted, clock, complete, fresh_id, join, kinds, start, submit, writer};

/// All writers try to start the same attempt at once: one does, the others read again and are
/// rejected.
pub(crate) async fn one_writer_wins_each_round(ledgers: &[Ledger], rounds: usize) {
    for round in 0..rounds {
        let aggregate = submit(&ledgers[0]).await;
        let tries = ledgers.iter().map(|ledger| async {
            let (mut mine, me) = (aggregate.clone(), writer("executor"));
            ledger.execute(&mut mine, start(1, me.instance), &me).await
        });
        let answers = join_all(tries).await;
        let winners = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(winners, 1, "round {round}: {answers:?}");
        let rejected = answers.iter().filter(|answer| {
            matches!(answer, Err(ExecuteError::Rejected(Rejection::AlreadyRunning(1))))
        });
        assert_eq!(rejected.count(), ledgers.len() - 1, "round {round}: {answers:?}");
        let history = ledgers[0].history(aggregate.id()).await.unwrap();
        assert_eq!(history.len(), 2, "round {round}");
        assert_eq!(verify_chain(&history), []);
    }
}

/// All writers accept under the same key at once, in different lanes and milliseconds: one
/// submission comes of it.
pub(crate) async fn one_acceptance_wins_each_round(ledgers: &[Ledger], rounds: usize) {
    for round in 0..rounds {
        let key = fresh_id().to_string();
        let tries = ledgers.iter().enumerate().map(async |(index, ledger)| {
            let id = SubmissionId::new(Uuid::from_u128((index as u128) << 80));
            let id = id.under_idempotency_key(&"ada".parse().unwrap(), &key);
            let mut request = accepted();
            request.lane = Lane::ALL[index % 2];
            ledger.accept(id, request, &writer("api")).await.unwrap()
        });
        let answers = join_all(tries).await;
        let (mut new, mut subjects) = (0, Vec::new());
        for answer in answers {
            let (Accepting::New(aggregate) | Accepting::Existing(aggregate)) = &answer;
            new += usize::from(matches!(answer, Accepting::New(_)));
            subjects.push(aggregate.subject.clone());
        }
        assert_eq!(new, 1, "round {round}");
        subjects.dedup();
        assert_eq!(subjects.len(), 1, "round {round}: {subjects:?}");
        let history = ledgers[0].history(subjects[0].id).await.unwrap();
        assert_eq!(history.len(), 1, "round {round}");
    }
}

/// A store that stores, and loses the first answer to every message.
#[derive(Debug)]
struct LosesAnswers {
    store: Arc<dyn EventStore>,
    seen: Mutex<Vec<String>>,
}

#[async_trait]
impl EventStore for LosesAnswers {
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError> {
        let answer = self.store.publish(publication).await;
        let mut seen = self.seen.lock().unwrap();
        if seen.contains(&publication.id) {
            return answer;
        }
        seen.push(publication.id.clone());
        Err(PublishError::Unknown("the answer was lost".into()))
    }

    async fn last(&self, filter: &str) -> Result<Option<Message>, Fault> {
        self.store.last(filter).await
    }

    async fn next(&self, subject: &str, from: u64) -> Result<Option<Message>, Fault> {
        self.store.next(subject, from).await
    }

    async fn get(&self, sequence: u64) -> Result<Option<Message>, Fault> {
        self.store.get(sequence).await
    }

    async fn usage(&self) -> Result<StorageUsage, Fault> {
        self.store.usage().await
    }

    async fn extent(&self) -> Result<LedgerExtent, Fault> {
        self.store.extent().await
    }

    fn follow(&self, from: u64) -> BoxStream<'static, Result<Message, Fault>> {
        self.store.follow(from)
    }
}

/// Every first answer is lost: each event still stands once.
pub(crate) async fn a_lost_answer_leaves_one_event(store: Arc<dyn EventStore>) {
    let lossy = LosesAnswers { store, seen: Mutex::default() };
    let ledger = Ledger::new(Arc::new(lossy), clock());
    for _ in 0..20 {
        let (mut aggregate, executor) = (submit(&ledger).await, writer("executor"));
        let started = ledger.execute(&mut aggregate, start(1, executor.instance), &executor).await;
        assert_eq!(kinds(&started.unwrap()), ["execution.started"]);
        let completed = ledger.execute(&mut aggregate, complete(1), &executor).await;
        assert_eq!(kinds(&completed.unwrap()), ["execution.completed"]);
        let history = ledger.history(aggregate.id()).await.unwrap();
        assert_eq!(history.len(), 3);
        assert_eq!(verify_chain(&history), []);
    }
}

/// Two workers share a hundred jobs: each job comes once, and none waits to be delivered again.
pub(crate) async fn each_job_is_delivered_once(connection: &Connection) {
    const JOBS: usize = 100;
    const ACK_WAIT: Duration = Duration::from_secs(30);
    let ledger = connection.ledger(clock());
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..2 {
        workers.spawn(work(join(connection, Lane::Run, ACK_WAIT).await));
    }
    let mut submitted = Vec::new();
    for _ in 0..JOBS {
        submitted.push(submit(&ledger).await.id());
    }
    let mut done = workers.join_all().await.concat();
    done.sort_unstable();
    submitted.sort_unstable();
    assert_eq!(done, submitted);
    assert!(began.elapsed() < ACK_WAIT / 2, "a job waited to be delivered again");
}

/// Takes and acknowledges jobs until none has come for a while.
async fn work(mut worker: Worker) -> Vec<SubmissionId> {
    let mut done = Vec::new();
    loop {
        let jobs = worker.fetch(4, Duration::from_secs(2)).await.unwrap();
        if jobs.is_empty() {
            return done;
        }
        for job in jobs {
            done.push(job.aggregate.id());
            job.receipt.ack().await.unwrap();
        }
    }
}

/// Writers that go on while servers crash, and what they were told.
pub(crate) struct Load {
    ledger: Ledger,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    writers: JoinSet<Told>,
}

/// What one writer was told.
#[derive(Default)]
struct Told {
    stored: BTreeMap<u64, SubmissionId>,
    unknown: Vec<SubmissionId>,
    refused: Vec<SubmissionId>,
}

impl Load {
    /// Lets `writers` accept submissions one after another.
    pub(crate) fn begin(ledger: &Ledger, writers: usize) -> Self {
        let mut load = Self {
            ledger: ledger.clone().with_deadline(Duration::from_secs(20)),
            stop: Arc::default(),
            acknowledged: Arc::default(),
            writers: JoinSet::new(),
        };
        for _ in 0..writers {
            let (ledger, stop) = (load.ledger.clone(), Arc::clone(&load.stop));
            let acknowledged = Arc::clone(&load.acknowledged);
            load.writers.spawn(async move {
                let (mut told, me) = (Told::default(), writer("api"));
                while !stop.load(Ordering::Relaxed) {
                    let id = fresh_id();
                    match ledger.accept(id, accepted(), &me).await {
                        Ok(Accepting::New(aggregate)) => {
                            let sequence = aggregate.submission.accepted_sequence;
                            told.stored.insert(sequence, id);
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(Accepting::Existing(aggregate)) => panic!("{} existed", aggregate.id()),
                        Err(ExecuteError::Unavailable { maybe_stored: true, .. }) => {
                            told.unknown.push(id);
                        }
                        Err(ExecuteError::Unavailable { .. }) => told.refused.push(id),
                        Err(error) => panic!("{error:?}"),
                    }
                }
                told
            });
        }
        load
    }

    /// Waits until so many more submissions have been acknowledged.
    pub(crate) async fn more(&self, count: usize) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + count;
        while self.acknowledged.load(Ordering::Relaxed) < goal {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the load, and holds the ledger against what the writers were told.
    pub(crate) async fn check(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        while let Some(told) = self.writers.join_next().await {
            let told = told.unwrap();
            all.stored.extend(told.stored);
            all.unknown.extend(told.unknown);
            all.refused.extend(told.refused);
        }
        let mut found: BTreeMap<SubmissionId, u64> = BTreeMap::new();
        let last = self.ledger.last_sequence().await.unwrap();
        let mut replay = self.ledger.follow(None).take(usize::try_from(last).unwrap());
        while let Some(followed) = replay.next().await {
            let LedgerEntry::Event(stored) = followed.unwrap().entry else { panic!("foreign") };
            let twice = found.insert(stored.subject.id, stored.recorded.sequence);
            assert_eq!(twice, None, "{} was accepted twice", stored.subject.id);
        }
        assert_eq!(found.len() as u64, last, "sequences are contiguous");
        for (sequence, id) in &all.stored {
            assert_eq!(found.remove(id), Some(*sequence), "{id} was acknowledged at {sequence}");
        }
        for id in &all.refused {
            assert_eq!(found.get(id), None, "{id} was reported as not stored");
        }
        // What is left was reported as unknown: it may stand, once.
        for id in found.keys() {
            assert!(all.unknown.contains(id), "{id} stands, and nobody was told");
        }
    }
}
