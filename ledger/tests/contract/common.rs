//! What the ledger's tests have in common: submissions to write about, writers, and stores to write
//! to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use events::content::Captured;
use events::envelope::Writer;
use events::event::{CancellationRequested, Completed, Lost, LostReason, Started, Timings};
use events::testing::ManualClock;
pub(crate) use events::testing::accepted;
use events::{
    BootId, Clock, Event, Exit, IdSource, Lane, PoolName, Priority, QueueName, Recorded,
    SubmissionId, Timestamp, Usage, Verdict,
};
use ledger::testing::small_streams;
use ledger::{Accepting, Aggregate, Connection, Ledger, NatsLogin, Worker};
use servers::testing::{NatsCluster, NatsServer, TESTER, password_of};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use uuid::Uuid;

/// A new id in every process and every call.
pub(crate) fn fresh_uuid() -> Uuid {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    let low = COUNTER.fetch_add(1, Ordering::Relaxed);
    Uuid::from_u64_pair(u64::from(std::process::id()), low)
}

/// Gives [`fresh_uuid`]s.
#[derive(Debug)]
pub(crate) struct FreshIds;

impl IdSource for FreshIds {
    fn new_id(&self) -> Uuid {
        fresh_uuid()
    }
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

/// A connection as one of the users.
pub(crate) async fn open_as(urls: &str, user: &str) -> Connection {
    let login = NatsLogin::new(user, &password_of(user).into());
    Connection::open(urls, &login, "test").await.unwrap()
}

/// A client that is not ours, as one of the users.
pub(crate) fn client_of(user: &str) -> async_nats::ConnectOptions {
    async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password_of(user))
        .custom_inbox_prefix(format!("_INBOX_{user}"))
}

/// A client that is not ours and may do everything.
pub(crate) async fn tester(server: &NatsServer) -> async_nats::Client {
    client_of(TESTER).connect(server.url()).await.unwrap()
}

/// Publishes what no client of NATS would: subject and headers may be any bytes.
pub(crate) async fn publish_bytes(server: &NatsServer, subject: &[u8], headers: &[u8]) {
    let url = server.url();
    let stream = TcpStream::connect(url.trim_start_matches("nats://")).await.unwrap();
    let (read, mut write) = stream.into_split();
    let login = serde_json::json!({
        "verbose": false, "headers": true, "user": TESTER, "pass": password_of(TESTER),
    })
    .to_string();
    let lengths = format!("{0} {0}", headers.len());
    let parts: [&[u8]; 9] = [
        b"CONNECT ",
        login.as_bytes(),
        b"\r\nHPUB ",
        subject,
        b" ",
        lengths.as_bytes(),
        b"\r\n",
        headers,
        b"\r\nPING\r\n",
    ];
    write.write_all(&parts.concat()).await.unwrap();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        assert!(!line.starts_with("-ERR"), "{line}");
        if line == "PONG" {
            return;
        }
    }
    panic!("the server has hung up");
}

/// A connection as the user that makes streams and queues.
pub(crate) async fn provisioner(server: &NatsServer) -> Connection {
    open_as(&server.url(), "provisioner").await
}

/// A connection that may do what all services may, to a server on which every stream is there.
pub(crate) async fn connect(server: &NatsServer) -> Connection {
    let settings = small_streams(1, vec![server.monitor_url()]);
    provisioner(server).await.provision(&settings, &FreshIds).await.unwrap();
    ready(open_as(&server.url(), TESTER).await).await
}

/// The same to a cluster, with three replicas.
pub(crate) async fn connect_cluster(cluster: &NatsCluster) -> Connection {
    let settings = small_streams(3, cluster.monitor_urls());
    open_as(&cluster.urls(), "provisioner").await.provision(&settings, &FreshIds).await.unwrap();
    ready(open_as(&cluster.urls(), TESTER).await).await
}

/// A connection that is made: a store without one refuses what it is asked at once.
async fn ready(connection: Connection) -> Connection {
    connection.ready().await.unwrap();
    connection
}

/// Makes a lane's queue, and joins its workers.
pub(crate) async fn join(connection: &Connection, lane: Lane, ack_wait: Duration) -> Worker {
    let queue = connection.queue();
    queue.provision(&queue_name(lane), ack_wait).await.unwrap();
    queue.consumer(&queue_name(lane)).await.unwrap()
}
