//! What the ledger's tests have in common: submissions to write about, writers, and stores to write
//! to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::TimeDelta;
use events::content::Captured;
use events::envelope::Writer;
use events::event::{CancellationRequested, Completed, Lost, LostReason, Started, Timings};
use events::testing::ManualClock;
pub(crate) use events::testing::accepted;
use events::{
    BootId, Clock, Event, Exit, Lane, PoolName, Priority, QueueName, Recorded, SubmissionId,
    Timestamp, Usage, Verdict,
};
use ledger::testing::small_streams;
use ledger::{Accepting, Aggregate, Connection, Ledger};
use servers::testing::{NatsCluster, NatsServer};
use uuid::Uuid;

/// A new id in every process and every call.
pub(crate) fn fresh_uuid() -> Uuid {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    let low = COUNTER.fetch_add(1, Ordering::Relaxed);
    Uuid::from_u64_pair(u64::from(std::process::id()), low)
}

pub(crate) fn fresh_id() -> SubmissionId {
    SubmissionId::new(fresh_uuid())
}

/// The machine's clock: tests of real servers run at the real time.
#[derive(Debug)]
struct RealTime;

impl Clock for RealTime {
    #[expect(clippy::disallowed_methods, reason = "tests of real servers run at the real time")]
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(RealTime)
}

pub(crate) fn start_of_time() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A clock that stands still.
pub(crate) fn standing() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(start_of_time()))
}

/// A clock that goes on by a second whenever it is looked at.
#[derive(Debug, Default)]
pub(crate) struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        start_of_time() + TimeDelta::seconds(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The queue of a lane, at the priority and in the pool of [`accepted`].
pub(crate) fn queue_name(lane: Lane) -> QueueName {
    QueueName { lane, priority: Priority::Normal, pool: pool() }
}

pub(crate) fn pool() -> PoolName {
    "core".parse().unwrap()
}

pub(crate) fn writer(name: &str) -> Writer {
    Writer {
        source: format!("/test/{name}"),
        actor: format!("test:{name}"),
        instance: BootId::new(fresh_uuid()),
        traceparent: None,
    }
}

pub(crate) fn start(attempt: u32, boot_id: BootId) -> Event {
    Event::Started(Started { boot_id, ..events::testing::started(attempt) })
}

pub(crate) fn lose(attempt: u32) -> Event {
    let observer = "box".parse().unwrap();
    Event::Lost(Lost { attempt, reason: LostReason::CellDied, observer })
}

pub(crate) fn complete(attempt: u32) -> Event {
    Event::Completed(Box::new(Completed {
        attempt,
        verdict: Verdict::Finished,
        exit: Some(Exit::Code(0)),
        stopped_by: None,
        usage: Usage::default(),
        stdout: Captured::default(),
        stderr: Captured::default(),
        results: Vec::new(),
        cases: None,
        timings: Timings::default(),
    }))
}

pub(crate) fn request_cancellation() -> Event {
    Event::CancellationRequested(CancellationRequested { by: "user:ada".to_owned(), reason: None })
}

/// Puts a submission into the ledger.
pub(crate) async fn submit(ledger: &Ledger) -> Aggregate {
    match ledger.accept(fresh_id(), accepted(), &writer("api")).await.unwrap() {
        Accepting::New(aggregate) => aggregate,
        Accepting::Existing(aggregate) => panic!("{} was there before", aggregate.id()),
    }
}

pub(crate) fn kinds(events: &[Recorded]) -> Vec<&'static str> {
    events.iter().map(|recorded| recorded.envelope.event.kind()).collect()
}

/// A connection to a server on which everything is provisioned.
pub(crate) async fn connect(server: &NatsServer) -> Connection {
    let connection = Connection::open(&server.url(), "test").await.unwrap();
    connection.provision(&small_streams(1, vec![server.monitor_url()])).await.unwrap();
    connection
}

/// A connection to a cluster on which everything is provisioned with three replicas.
pub(crate) async fn connect_cluster(cluster: &NatsCluster) -> Connection {
    let connection = Connection::open(&cluster.urls(), "test").await.unwrap();
    connection.provision(&small_streams(3, cluster.monitor_urls())).await.unwrap();
    connection
}
