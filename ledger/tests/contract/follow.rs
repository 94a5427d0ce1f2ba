//! Following: no hole, no unknown form, no restart goes unnoticed or loses anything.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use events::subject::{LEDGER_STREAM, LEDGER_SUBJECTS};
use futures::{FutureExt as _, StreamExt as _};
use ledger::memory::MemoryStore;
use ledger::{Connection, FollowError, Ledger, ReadError};
use servers::testing::NatsServer;
use tokio::time::timeout;

use crate::common::{clock, connect, fresh_id, standing, submit};

/// Less than the heartbeats of a consumer that died would take to be missed.
const SOON: Duration = Duration::from_secs(10);

fn in_memory() -> (Arc<MemoryStore>, Ledger) {
    let store = Arc::new(MemoryStore::new(standing()));
    let ledger = Ledger::new(Arc::clone(&store) as _, standing());
    (store, ledger)
}

#[tokio::test]
async fn a_removed_event_is_a_hole_and_the_end() {
    let (store, ledger) = in_memory();
    for _ in 0..4 {
        submit(&ledger).await;
    }
    store.remove(3);
    let mut following = ledger.follow(0);
    assert_eq!(following.next().await.unwrap().unwrap().recorded.sequence, 1);
    assert_eq!(following.next().await.unwrap().unwrap().recorded.sequence, 2);
    let hole = following.next().await.unwrap();
    assert!(matches!(hole, Err(FollowError::Hole { expected: 3, found: 4 })), "{hole:?}");
    assert!(following.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_was_set_back_is_noticed() {
    let (_store, ledger) = in_memory();
    for _ in 0..3 {
        submit(&ledger).await;
    }
    // Who has read all of it waits for more.
    timeout(SOON, ledger.follow(4).next()).await.unwrap_err();
    let seen: Vec<_> = ledger.follow(5).collect().await;
    assert!(matches!(seen[..], [Err(FollowError::SetBack { read: 4, last: 3 })]), "{seen:?}");
}

#[tokio::test]
async fn what_stands_before_an_event_that_cannot_be_read_is_read() {
    let (store, ledger) = in_memory();
    submit(&ledger).await;
    submit(&ledger).await;
    store.put_raw(&format!("ledger.submission.run.normal.core.{}", fresh_id()), "{}");
    let mut following = ledger.follow(1);
    for sequence in [1, 2] {
        assert_eq!(following.next().await.unwrap().unwrap().recorded.sequence, sequence);
    }
    let unread = following.next().await.unwrap();
    let form = matches!(unread, Err(FollowError::Read(ReadError::Form { sequence: 3, .. })));
    assert!(form, "{unread:?}");
    assert!(following.next().await.is_none());
}

#[tokio::test]
async fn a_foreign_subject_is_an_error() {
    let (store, ledger) = in_memory();
    store.put_raw("ledger.weather.today", "{}");
    let unread = ledger.follow(1).next().await.unwrap();
    let foreign = matches!(unread, Err(FollowError::Read(ReadError::Subject { sequence: 1, .. })));
    assert!(foreign, "{unread:?}");
}

#[tokio::test]
async fn a_follower_outlives_restarts_of_the_server() {
    let mut server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    let mut following = ledger.follow(1);
    for round in 0..3 {
        submit(&ledger).await;
        let next = timeout(SOON, following.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(next.recorded.sequence, 2 * round + 1);
        server.kill();
        assert!(following.next().now_or_never().is_none());
        server.restart().await;
        submit(&ledger).await;
        let next = timeout(SOON, following.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(next.recorded.sequence, 2 * round + 2);
    }
}

/// A stream from which messages can be removed, as no stream of ours.
async fn soft_stream(server: &NatsServer) -> (jetstream::stream::Stream, Ledger) {
    let client = async_nats::connect(server.url()).await.unwrap();
    let config = jetstream::stream::Config {
        name: LEDGER_STREAM.to_owned(),
        subjects: LEDGER_SUBJECTS.map(str::to_owned).to_vec(),
        ..jetstream::stream::Config::default()
    };
    let stream = jetstream::new(client).create_stream(config).await.unwrap();
    let connection = Connection::open(&server.url(), "test").await.unwrap();
    (stream, connection.ledger(clock()))
}

#[tokio::test]
async fn messages_that_were_removed_on_a_real_server_are_holes() {
    let server = NatsServer::start().await;
    let (stream, ledger) = soft_stream(&server).await;
    for _ in 0..5 {
        submit(&ledger).await;
    }
    stream.delete_message(3).await.unwrap();
    let seen: Vec<_> = timeout(SOON, ledger.follow(1).collect()).await.unwrap();
    assert_eq!(seen.len(), 3);
    assert!(matches!(seen[2], Err(FollowError::Hole { expected: 3, found: 4 })), "{:?}", seen[2]);

    stream.purge().sequence(3).await.unwrap();
    let seen: Vec<_> = timeout(SOON, ledger.follow(1).collect()).await.unwrap();
    assert!(matches!(seen[..], [Err(FollowError::Hole { expected: 1, found: 4 })]), "{seen:?}");
}
