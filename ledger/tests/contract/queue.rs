//! The queue: each job once, at once, and again only when it must be.

use std::time::Duration;

use async_nats::StatusCode;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, Config};
use bytes::Bytes;
use events::subject::LEDGER_STREAM;
use events::{BootId, Digest, Envelope, Event, Lane, LedgerId, LedgerPosition, SubmissionId};
use futures::{FutureExt as _, StreamExt as _};
use ledger::{Backlog, Connection, FloorOf, Job, Ledger, QueueError, Worker};
use serde_json::json;
use servers::testing::{NatsServer, TESTER};
use tokio::time::{Instant, timeout};

use crate::common::{
    accepted, clock, connect, fresh_id, fresh_uuid, join, publish_bytes, queue_name, start,
    start_of_time, submit, tester, writer,
};
use crate::load::each_job_is_delivered_once;

const ACK_WAIT: Duration = Duration::from_secs(30);
const SHORT_ACK_WAIT: Duration = Duration::from_secs(1);
const EXPIRES: Duration = Duration::from_secs(5);
/// The durable of the lane `run`.
const DURABLE: &str = "executor-run-normal-core-v1";

struct Given {
    server: NatsServer,
    connection: Connection,
    ledger: Ledger,
}

async fn given() -> Given {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let ledger = connection.ledger(clock());
    Given { server, connection, ledger }
}

impl Given {
    async fn worker(&self, ack_wait: Duration) -> Worker {
        join(&self.connection, Lane::Run, ack_wait).await
    }

    async fn backlog(&self) -> Option<Backlog> {
        Some(self.connection.queue().status(&queue_name(Lane::Run)).await.unwrap()?.backlog)
    }

    /// Waits until the server has taken in every answer.
    async fn settled(&self, expected: Backlog) {
        let reached = async {
            while self.backlog().await != Some(expected) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(EXPIRES, reached).await.expect("the backlog becomes as expected");
    }
}

const EMPTY: Backlog = Backlog { waiting: 0, held: 0 };

async fn one(worker: &mut Worker) -> Job {
    let mut jobs = worker.fetch(1, EXPIRES).await.unwrap();
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}

fn ids(jobs: &[Job]) -> Vec<SubmissionId> {
    jobs.iter().map(|job| job.aggregate.id()).collect()
}

#[tokio::test]
async fn a_job_is_the_submission_as_it_was_accepted() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let submitted = submit(&given.ledger).await;
    let mut job = one(&mut worker).await;
    assert_eq!(job.aggregate.accepted, submitted.accepted);
    assert_eq!(job.aggregate.head, submitted.head);
    assert_eq!(job.delivered, 1);
    // It can be written to as it is.
    let executor = crate::common::writer("executor");
    let started = crate::common::start(1, executor.instance);
    given.ledger.execute(&mut job.aggregate, started, &executor).await.unwrap();
    job.receipt.ack().await.unwrap();
    given.settled(EMPTY).await;
}

#[tokio::test]
async fn a_fetch_returns_what_is_there_and_never_more_than_wanted() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let mut submitted = Vec::new();
    for _ in 0..7 {
        submitted.push(submit(&given.ledger).await.id());
    }
    let began = Instant::now();
    let first = worker.fetch(3, EXPIRES).await.unwrap();
    assert_eq!(ids(&first), submitted[..3]);
    given.settled(Backlog { waiting: 4, held: 3 }).await;
    let rest = worker.fetch(100, EXPIRES).await.unwrap();
    assert_eq!(ids(&rest), submitted[3..]);
    assert!(began.elapsed() < EXPIRES / 2, "a fetch waited to be full");
}

#[tokio::test]
async fn a_fetch_from_an_empty_queue_ends_in_time() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let began = Instant::now();
    assert!(worker.fetch(5, Duration::from_secs(1)).await.unwrap().is_empty());
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(900) && took < EXPIRES, "{took:?}");
}

#[tokio::test]
async fn a_fetch_that_is_given_up_loses_nothing() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    // Given up while it waits on the server: what comes then is found by the next fetch.
    timeout(Duration::from_millis(50), worker.fetch(5, EXPIRES)).await.unwrap_err();
    let submitted = submit(&given.ledger).await;
    given.settled(Backlog { waiting: 0, held: 1 }).await;
    let job = one(&mut worker).await;
    assert_eq!(job.aggregate.id(), submitted.id());
    assert_eq!(job.delivered, 1);
}

#[tokio::test]
async fn more_than_wanted_after_a_given_up_fetch_goes_to_others_at_once() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    for _ in 0..3 {
        submit(&given.ledger).await;
    }
    // It asks for all of them, and is given up before they come.
    assert!(worker.fetch(5, EXPIRES).now_or_never().is_none());
    given.settled(Backlog { waiting: 0, held: 3 }).await;
    let first = one(&mut worker).await;
    let mut other = given.worker(ACK_WAIT).await;
    let rest = [one(&mut other).await, one(&mut other).await];
    let mut all = ids(&rest);
    all.push(first.aggregate.id());
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 3);
}

#[tokio::test]
async fn closing_hands_back_what_was_on_its_way() {
    let given = given().await;
    let mut leaving = given.worker(ACK_WAIT).await;
    let mut staying = given.worker(ACK_WAIT).await;
    timeout(Duration::from_millis(50), leaving.fetch(5, EXPIRES)).await.unwrap_err();
    let submitted = submit(&given.ledger).await;
    given.settled(Backlog { waiting: 0, held: 1 }).await;
    leaving.close().await;
    assert_eq!(one(&mut staying).await.aggregate.id(), submitted.id());

    // And nobody is asked any more: what comes now goes to the one that stays.
    let next = submit(&given.ledger).await;
    assert_eq!(one(&mut staying).await.aggregate.id(), next.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_get_each_of_many_jobs_exactly_once() {
    let given = given().await;
    each_job_is_delivered_once(&given.connection).await;
    given.settled(EMPTY).await;
}

#[tokio::test]
async fn an_idle_worker_has_a_new_job_within_milliseconds() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let mut waits = Vec::new();
    for _ in 0..200 {
        let (fetched, published) = tokio::join!(
            async {
                let job = one(&mut worker).await;
                let at = Instant::now();
                job.receipt.ack().await.unwrap();
                at
            },
            async {
                // The worker waits on the server by then.
                tokio::time::sleep(Duration::from_millis(2)).await;
                let at = Instant::now();
                submit(&given.ledger).await;
                at
            }
        );
        waits.push(fetched - published);
    }
    waits.sort_unstable();
    let (p50, p95) = (waits[waits.len() / 2], waits[waits.len() * 95 / 100]);
    println!("from publish to job: p50 {p50:?}, p95 {p95:?}");
    // Measured 0.6 ms, fsync included; the bound leaves room for a busy machine.
    assert!(p50 < Duration::from_millis(10), "p50 {p50:?}");
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let given = given().await;
    let mut worker = given.worker(SHORT_ACK_WAIT).await;
    let submitted = submit(&given.ledger).await;
    assert_eq!(one(&mut worker).await.delivered, 1);
    let again = one(&mut worker).await;
    assert_eq!(again.aggregate.id(), submitted.id());
    assert_eq!(again.delivered, 2);
}

#[tokio::test]
async fn what_is_in_progress_stays_with_its_worker() {
    let given = given().await;
    let mut worker = given.worker(SHORT_ACK_WAIT).await;
    submit(&given.ledger).await;
    let job = one(&mut worker).await;
    for _ in 0..8 {
        let nothing = timeout(SHORT_ACK_WAIT / 3, worker.fetch(1, EXPIRES)).await;
        assert!(nothing.is_err(), "it came again while it was worked on");
        job.receipt.in_progress().await.unwrap();
    }
    job.receipt.ack().await.unwrap();
    given.settled(EMPTY).await;
}

#[tokio::test]
async fn what_is_handed_back_comes_again_after_its_delay() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    submit(&given.ledger).await;
    one(&mut worker).await.receipt.nak(Duration::ZERO).await.unwrap();
    let job = one(&mut worker).await;
    assert_eq!(job.delivered, 2);
    let began = Instant::now();
    job.receipt.nak(Duration::from_millis(700)).await.unwrap();
    assert_eq!(one(&mut worker).await.delivered, 3);
    assert!(began.elapsed() >= Duration::from_millis(650), "{:?}", began.elapsed());
}

#[tokio::test]
async fn lanes_and_pools_have_queues_of_their_own() {
    let given = given().await;
    let queue = given.connection.queue();
    let other = queue_name(Lane::Submit);
    assert_eq!(queue.status(&other).await.unwrap(), None);
    let mut elsewhere = join(&given.connection, Lane::Submit, ACK_WAIT).await;
    submit(&given.ledger).await;
    assert!(elsewhere.fetch(1, Duration::from_secs(1)).await.unwrap().is_empty());
    assert_eq!(queue.status(&other).await.unwrap().map(|status| status.backlog), Some(EMPTY));
    let mut here = given.worker(ACK_WAIT).await;
    assert_eq!(given.backlog().await, Some(Backlog { waiting: 1, held: 0 }));
    one(&mut here).await;
}

#[tokio::test]
async fn a_fetch_now_takes_what_is_there_and_waits_for_nothing() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    assert!(worker.fetch_now().await.unwrap().is_none());
    let submitted = [submit(&given.ledger).await.id(), submit(&given.ledger).await.id()];
    for id in submitted {
        let job = worker.fetch_now().await.unwrap().expect("it waits in the queue");
        assert_eq!(job.aggregate.id(), id);
        job.receipt.ack().await.unwrap();
    }
    assert!(worker.fetch_now().await.unwrap().is_none());
    given.settled(EMPTY).await;
}

#[tokio::test]
async fn what_a_dropped_fetch_had_asked_for_is_a_straggler() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    // Nothing was asked for, so nothing comes.
    assert!(worker.straggler().now_or_never().is_none());
    assert!(worker.fetch(1, EXPIRES).now_or_never().is_none());
    let submitted = submit(&given.ledger).await.id();
    let job = timeout(EXPIRES, worker.straggler()).await.unwrap();
    assert_eq!((job.aggregate.id(), job.delivered), (submitted, 1));
    assert!(worker.straggler().now_or_never().is_none());
}

#[tokio::test]
async fn a_fetch_now_takes_what_a_dropped_fetch_had_asked_for() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    assert!(worker.fetch(1, EXPIRES).now_or_never().is_none());
    let submitted = submit(&given.ledger).await.id();
    given.settled(Backlog { waiting: 0, held: 1 }).await;
    assert_eq!(worker.fetch_now().await.unwrap().unwrap().aggregate.id(), submitted);
}

#[tokio::test]
async fn a_fetch_now_asks_anew_when_what_a_dropped_fetch_had_asked_for_is_over() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let client = tester(&given.server).await;
    let mut answers = client.subscribe(format!("_INBOX_{TESTER}.>")).await.unwrap();
    client.flush().await.unwrap();
    assert!(worker.fetch(1, Duration::from_secs(1)).now_or_never().is_none());
    let over = async { while answers.next().await.unwrap().status != Some(StatusCode::TIMEOUT) {} };
    timeout(EXPIRES, over).await.expect("the server ends the request");
    // Its end was sent before, so it has arrived with the answer to this.
    given.settled(EMPTY).await;
    let submitted = submit(&given.ledger).await.id();
    assert_eq!(worker.fetch_now().await.unwrap().unwrap().aggregate.id(), submitted);
    assert!(worker.fetch_now().await.unwrap().is_none());
}

#[tokio::test]
async fn a_worker_outlives_restarts_of_the_server() {
    let mut given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let mut submitted = Vec::new();
    for _ in 0..3 {
        let next = submit(&given.ledger).await.id();
        submitted.push(next);
        // What was acknowledged just before a crash may come again: the fold tells then that it is
        // done.
        let seen = timeout(ACK_WAIT / 2, fetch_until(&mut worker, next)).await.unwrap();
        assert!(seen.iter().all(|id| submitted.contains(id)), "{seen:?}");
        given.server.restart().await;
    }
}

#[tokio::test]
async fn a_fetch_that_waits_through_a_restart_is_not_forgotten() {
    let mut given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let long = Duration::from_mins(1);
    assert!(worker.fetch(1, long).now_or_never().is_none());
    given.settled(EMPTY).await;
    given.server.restart().await;
    let submitted = submit(&given.ledger).await;
    // Missing heartbeats would show it only after ten seconds.
    let jobs = timeout(Duration::from_secs(5), worker.fetch(1, long)).await.unwrap().unwrap();
    assert_eq!(ids(&jobs), [submitted.id()]);
}

/// Fetches and acknowledges as an executor does, again after a fault, until a submission has come.
async fn fetch_until(worker: &mut Worker, wanted: SubmissionId) -> Vec<SubmissionId> {
    let mut seen = Vec::new();
    while !seen.contains(&wanted) {
        // The queue does not answer while the server restarts.
        let Ok(jobs) = worker.fetch(5, EXPIRES).await else { continue };
        for job in &jobs {
            job.receipt.ack().await.unwrap();
        }
        seen.extend(ids(&jobs));
    }
    seen
}

#[tokio::test]
async fn a_worker_waits_for_its_durable_and_goes_on_with_a_new_one() {
    let given = given().await;
    let queue = given.connection.queue();
    let missing = queue.consumer(&queue_name(Lane::Run)).await.unwrap_err();
    let said = |QueueError(fault): QueueError| fault.to_string();
    assert_eq!(
        said(missing),
        format!("there is no durable {DURABLE} yet: the provisioner makes it")
    );
    let mut worker = given.worker(ACK_WAIT).await;
    ledger_stream(&given).await.delete_consumer(DURABLE).await.unwrap();
    let submitted = submit(&given.ledger).await;
    worker.fetch(1, EXPIRES).await.unwrap_err();
    // It makes none by itself, however often it asks.
    for _ in 0..2 {
        let missing = worker.fetch(1, EXPIRES).await.unwrap_err();
        assert!(said(missing).contains("the provisioner makes it"));
    }
    queue.provision(&queue_name(Lane::Run), SHORT_ACK_WAIT).await.unwrap();
    assert_eq!(one(&mut worker).await.aggregate.id(), submitted.id());
}

#[tokio::test]
async fn a_lost_durable_begins_after_what_was_acknowledged() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let queue = given.connection.queue();
    let mut submitted = Vec::new();
    for _ in 0..4 {
        submitted.push(submit(&given.ledger).await);
    }
    for _ in 0..2 {
        one(&mut worker).await.receipt.ack().await.unwrap();
    }
    given.settled(Backlog { waiting: 2, held: 0 }).await;
    let acknowledged = queue.status(&queue_name(Lane::Run)).await.unwrap().unwrap().acknowledged;
    assert_eq!(acknowledged, submitted[1].submission.accepted_sequence);
    queue.floors().store(FloorOf::Queue(&queue_name(Lane::Run)), acknowledged).await.unwrap();
    ledger_stream(&given).await.delete_consumer(DURABLE).await.unwrap();
    let mut anew = given.worker(ACK_WAIT).await;
    // As if the one before had not been lost.
    let status = queue.status(&queue_name(Lane::Run)).await.unwrap().unwrap();
    assert_eq!(status.backlog, Backlog { waiting: 2, held: 0 });
    assert_eq!(status.acknowledged, acknowledged);
    let rest = [one(&mut anew).await, one(&mut anew).await];
    assert_eq!(ids(&rest), [submitted[2].id(), submitted[3].id()]);
}

#[tokio::test]
async fn without_a_floor_of_this_ledger_a_durable_begins_with_the_first_event() {
    let given = given().await;
    let (first, _second) = (submit(&given.ledger).await, submit(&given.ledger).await);
    let (floors, queue) = (given.connection.queue().floors(), queue_name(Lane::Run));
    let of = FloorOf::Queue(&queue);
    assert_eq!(floors.load(of).await.unwrap(), None);
    // What the ledger does not reach is not stored.
    floors.store(of, 3).await.unwrap();
    assert_eq!(floors.load(of).await.unwrap(), None);
    floors.store(of, 1).await.unwrap();
    let floor = floors.load(of).await.unwrap().unwrap();
    // The ledger was set back or made anew since, or an older version stored the floor.
    let rewritten = LedgerPosition { digest: Digest::of(b"another event"), ..floor };
    let replaced = LedgerPosition { ledger: LedgerId::new(fresh_uuid()), ..floor };
    let set_back = LedgerPosition { sequence: 9, ..floor };
    let others = [rewritten, replaced, set_back].map(|floor| json!(floor).to_string());
    let client = tester(&given.server).await;
    let bucket = jetstream::new(client).get_key_value("QUEUE_FLOORS").await.unwrap();
    for text in others.into_iter().chain(["1".to_owned()]) {
        bucket.put(of.to_string(), text.into()).await.unwrap();
        assert_eq!(floors.load(of).await.unwrap(), None);
    }
    let mut worker = given.worker(ACK_WAIT).await;
    assert_eq!(one(&mut worker).await.aggregate.id(), first.id());
}

#[tokio::test]
async fn another_ack_wait_is_taken_on() {
    let given = given().await;
    let mut first = given.worker(ACK_WAIT).await;
    submit(&given.ledger).await;
    one(&mut first).await.receipt.ack().await.unwrap();
    given.settled(EMPTY).await;
    let mut second = given.worker(SHORT_ACK_WAIT).await;
    submit(&given.ledger).await;
    one(&mut second).await;
    assert_eq!(one(&mut second).await.delivered, 2);
}

#[tokio::test]
async fn two_workers_with_different_ack_waits_take_no_job_from_each_other() {
    let given = given().await;
    let mut slow = given.worker(ACK_WAIT).await;
    submit(&given.ledger).await;
    let job = one(&mut slow).await;
    let mut quick = given.worker(SHORT_ACK_WAIT).await;
    let status = given.connection.queue().status(&queue_name(Lane::Run)).await.unwrap().unwrap();
    assert_eq!(status.ack_wait, SHORT_ACK_WAIT);
    for _ in 0..6 {
        job.receipt.in_progress().await.unwrap();
        let nothing = timeout(status.ack_wait / 3, quick.fetch(1, EXPIRES)).await;
        assert!(nothing.is_err(), "the job was taken");
    }
}

/// A client that knows nothing of ours, as an operator has one.
async fn ledger_stream(given: &Given) -> jetstream::stream::Stream {
    let client = tester(&given.server).await;
    jetstream::new(client).get_stream(LEDGER_STREAM).await.unwrap()
}

#[tokio::test]
async fn a_durable_that_was_changed_is_mended_and_keeps_its_position() {
    let given = given().await;
    let mut first = given.worker(ACK_WAIT).await;
    submit(&given.ledger).await;
    one(&mut first).await.receipt.ack().await.unwrap();
    given.settled(EMPTY).await;
    let stream = ledger_stream(&given).await;
    let as_made = stream.consumer_info(DURABLE).await.unwrap().config;
    let changed = Config {
        max_deliver: 2,
        max_ack_pending: 1,
        filter_subject: "ledger.submission.submit.normal.core.*.*".to_owned(),
        headers_only: true,
        inactive_threshold: Duration::from_mins(1),
        description: Some("an operator's".to_owned()),
        ..as_made.clone()
    };
    stream.update_consumer(changed).await.unwrap();
    let mut second = given.worker(ACK_WAIT).await;
    let mended = stream.consumer_info(DURABLE).await.unwrap().config;
    assert_eq!(mended, Config { description: Some("an operator's".to_owned()), ..as_made });
    let submitted = submit(&given.ledger).await;
    assert_eq!(one(&mut second).await.aggregate.id(), submitted.id());
}

#[tokio::test]
async fn a_durable_of_another_ack_policy_is_made_anew() {
    let given = given().await;
    let stream = ledger_stream(&given).await;
    let foreign = Config {
        durable_name: Some(DURABLE.to_owned()),
        ack_policy: AckPolicy::None,
        ..Config::default()
    };
    stream.create_consumer(foreign).await.unwrap();
    let mut worker = given.worker(ACK_WAIT).await;
    let policy = stream.consumer_info(DURABLE).await.unwrap().config.ack_policy;
    assert_eq!(policy, AckPolicy::Explicit);
    let submitted = submit(&given.ledger).await;
    assert_eq!(one(&mut worker).await.aggregate.id(), submitted.id());
    given.settled(Backlog { waiting: 0, held: 1 }).await;
}

/// Publishes to the queue of the lane `run` what no writer of ours would write there.
async fn publish(given: &Given, id: SubmissionId, payload: impl Into<Bytes>) {
    let client = tester(&given.server).await;
    let subject = format!("ledger.submission.run.normal.core.{}.{id}", id.key_part());
    client.request(subject, payload.into()).await.unwrap();
}

#[tokio::test]
async fn a_job_in_a_newer_form_holds_up_no_other_and_is_not_lost() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let id = fresh_id();
    let event = Event::Accepted(Box::new(accepted()));
    let (_, bytes) = Envelope::write(id, event, &writer("api"), None, start_of_time());
    let newer = String::from_utf8(bytes).unwrap().replace("accepted:2\"", "accepted:3\"");
    publish(&given, id, newer).await;
    let good = submit(&given.ledger).await;
    assert_eq!(one(&mut worker).await.aggregate.id(), good.id());
    // The newer one waits to be delivered again.
    given.settled(Backlog { waiting: 0, held: 2 }).await;
}

#[tokio::test]
async fn deliveries_that_break_a_connection_are_ended_and_hold_up_no_job() {
    let given = given().await;
    let mut worker = given.worker(SHORT_ACK_WAIT).await;
    for (id, headers) in ["no colon\r\n\r\n", "a b: c\r\n\r\n"].iter().enumerate() {
        let subject = format!("ledger.submission.run.normal.core.x.{id}");
        let headers = format!("NATS/1.0\r\n{headers}");
        publish_bytes(&given.server, subject.as_bytes(), headers.as_bytes()).await;
    }
    let good = submit(&given.ledger).await;
    assert!(fetch_until(&mut worker, good.id()).await.contains(&good.id()));
    given.settled(EMPTY).await;
}

#[tokio::test]
async fn a_delivery_with_a_status_of_its_writer_is_ended() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    let subject = b"ledger.submission.run.normal.core.x.1";
    publish_bytes(&given.server, subject, b"NATS/1.0 100\r\n\r\n").await;
    let good = submit(&given.ledger).await;
    assert_eq!(one(&mut worker).await.aggregate.id(), good.id());
    given.settled(Backlog { waiting: 0, held: 1 }).await;
}

#[tokio::test]
async fn foreign_bytes_on_a_queue_are_ended_and_hold_up_no_job() {
    let given = given().await;
    let mut worker = given.worker(ACK_WAIT).await;
    publish(&given, fresh_id(), "hi").await;
    publish(&given, fresh_id(), vec![0, 0xff]).await;
    // An event that can be read, and is no submission.
    let (id, event) = (fresh_id(), start(1, BootId::new(fresh_uuid())));
    publish(&given, id, Envelope::write(id, event, &writer("x"), None, start_of_time()).1).await;
    let good = submit(&given.ledger).await;
    let job = one(&mut worker).await;
    assert_eq!(job.aggregate.id(), good.id());
    job.receipt.ack().await.unwrap();
    given.settled(EMPTY).await;
}
