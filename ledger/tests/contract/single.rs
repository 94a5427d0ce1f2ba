//! The ledger on one real server.

use ledger::testing::small_streams;
use ledger::verify::verify_chain;
use ledger::{Accepting, ExecuteError, Ledger};
use servers::testing::{NatsServer, TESTER};

use crate::common::{
    FreshIds, accepted, client_of, clock, connect, fresh_id, kinds, lose, open_as, provisioner,
    start, submit, writer,
};
use crate::load::{
    Load, a_lost_answer_leaves_one_event, one_acceptance_wins_each_round,
    one_writer_wins_each_round,
};

const WRITERS: usize = 16;
const ROUNDS: usize = 50;

/// Ledgers on connections of their own.
async fn ledgers(server: &NatsServer) -> Vec<Ledger> {
    let mut ledgers = vec![connect(server).await.ledger(clock())];
    for _ in 1..WRITERS {
        let connection = open_as(&server.url(), TESTER).await;
        ledgers.push(connection.ledger(clock()));
    }
    ledgers
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_one_wins() {
    let server = NatsServer::start().await;
    let ledgers = ledgers(&server).await;
    one_writer_wins_each_round(&ledgers, ROUNDS).await;
    one_acceptance_wins_each_round(&ledgers, ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_leaves_one_event_on_a_single_server() {
    let server = NatsServer::start().await;
    a_lost_answer_leaves_one_event(connect(&server).await.store()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let mut server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    let load = Load::begin(&ledger, WRITERS);
    for _ in 0..3 {
        load.more(300).await;
        server.kill();
        server.restart().await;
    }
    load.more(300).await;
    load.check().await;
}

#[tokio::test]
async fn a_full_stream_refuses_and_leaves_nothing_half_done() {
    let server = NatsServer::start().await;
    let (provisioner, connection) =
        (provisioner(&server).await, open_as(&server.url(), TESTER).await);
    let mut settings = small_streams(1, vec![server.monitor_url()]);
    settings.ledger_bytes_max = 64 * 1024;
    provisioner.provision(&settings, &FreshIds).await.unwrap();
    let ledger = connection.ledger(clock());

    let mut aggregate = submit(&ledger).await;
    let (refused, id) = loop {
        let id = fresh_id();
        match ledger.accept(id, accepted(), &writer("api")).await {
            Ok(Accepting::New(_)) => {}
            other => break (other, id),
        }
    };
    assert!(matches!(refused, Err(ExecuteError::Full)), "{refused:?}");
    assert!(ledger.history(id).await.unwrap().is_empty());
    assert!(ledger.usage().await.unwrap().percent() >= 95);

    let executor = writer("executor");
    let refused = ledger.execute(&mut aggregate, start(1, executor.instance), &executor).await;
    assert!(matches!(refused, Err(ExecuteError::Full)), "{refused:?}");
    assert_eq!(ledger.history(aggregate.id()).await.unwrap().len(), 1);

    // With more room the same event goes through: the refusal left nothing behind.
    settings.ledger_bytes_max *= 2;
    provisioner.provision(&settings, &FreshIds).await.unwrap();
    ledger.execute(&mut aggregate, start(1, executor.instance), &executor).await.unwrap();
    assert_eq!(ledger.history(aggregate.id()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_submission_is_found_without_its_lane_and_pool() {
    let server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    let mut aggregate = submit(&ledger).await;
    let executor = writer("executor");
    ledger.execute(&mut aggregate, start(1, executor.instance), &executor).await.unwrap();
    submit(&ledger).await;

    let found = ledger.load(aggregate.id()).await.unwrap().unwrap();
    assert_eq!(found.subject, aggregate.subject);
    assert_eq!(found.accepted, aggregate.accepted);
    assert_eq!(found.head, aggregate.head);
    assert_eq!(found.submission.sequence, 2);
    assert!(ledger.load_at(&aggregate.subject).await.unwrap().is_some());
    assert!(ledger.load(fresh_id()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_life_of_many_events_is_read_back_whole() {
    let server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    let (mut aggregate, executor) = (submit(&ledger).await, writer("executor"));
    let mut expected = vec!["submission.accepted"];
    for attempt in 1..=5 {
        for event in [start(attempt, executor.instance), lose(attempt)] {
            let recorded = ledger.execute(&mut aggregate, event, &executor).await.unwrap();
            expected.extend(kinds(&recorded));
        }
    }
    let history = ledger.history(aggregate.id()).await.unwrap();
    let found: Vec<_> =
        history.iter().map(|stored| stored.recorded.envelope.event.kind()).collect();
    assert_eq!(found, expected);
    assert_eq!(verify_chain(&history), []);
    // What was folded in memory is what is folded from the stream, but for the times that acks do
    // not carry.
    let loaded = ledger.load(aggregate.id()).await.unwrap().unwrap();
    assert_eq!(loaded.head, aggregate.head);
    let states = [&loaded, &aggregate].map(|it| &it.submission);
    assert_eq!(states[0].sequence, states[1].sequence);
    assert_eq!(states[0].attempts.len(), 5);
}

#[tokio::test]
async fn any_client_can_read_what_is_stored() {
    let server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    let mut aggregate = submit(&ledger).await;
    let mut executor = writer("executor");
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    executor.traceparent = Some(traceparent.to_owned());
    let started = start(1, executor.instance);
    let recorded = ledger.execute(&mut aggregate, started, &executor).await.unwrap();

    let client = client_of("viewer").connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::with_domain(client, "view");
    let stream = context.get_stream("LEDGER").await.unwrap();
    let message = stream.direct_get(2).await.unwrap();
    let id = aggregate.id();
    assert_eq!(
        message.subject.as_str(),
        format!("ledger.outcome.run.normal.core.{}.{id}", id.key_part())
    );
    let header = |name: &str| message.headers.get(name).map(ToString::to_string).unwrap();
    assert_eq!(header("Nats-Msg-Id"), recorded[0].envelope.id.to_string());
    assert_eq!(header("Nats-Expected-Last-Subject-Sequence"), "0");
    assert_eq!(header("Ledger-Type"), "execution.started");
    assert_eq!(header("traceparent"), traceparent);
    let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["subject"], id.to_string());
    assert_eq!(event["data"]["attempt"], 1);
}

#[tokio::test]
async fn a_connection_knows_whether_the_ledger_answers() {
    let mut server = NatsServer::start().await;
    let connection = connect(&server).await;
    connection.ready().await.unwrap();
    server.kill();
    assert!(connection.ready().await.is_err());
    let ledger = connection.ledger(clock()).with_deadline(std::time::Duration::from_millis(300));
    let refused = ledger.accept(fresh_id(), accepted(), &writer("api")).await;
    assert!(matches!(refused, Err(ExecuteError::Unavailable { .. })), "{refused:?}");
    server.restart().await;
    submit(&connection.ledger(clock())).await;
    connection.ready().await.unwrap();
}
