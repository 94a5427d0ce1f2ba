//! Following: no hole, no newer form, no restart and no other history goes unnoticed, and nothing
//! that is foreign stops a reader.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use events::subject::{LEDGER_STREAM, LEDGER_SUBJECTS};
use events::testing::{LEDGER, ManualClock};
use events::{LedgerId, LedgerPosition};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use ledger::memory::MemoryStore;
use ledger::{FollowError, Followed, HistoryDiffers, Ledger, LedgerEntry, ReadError};
use servers::testing::{NatsServer, TESTER};
use tokio::time::timeout;

use crate::common::{
    clock, connect, fresh_id, fresh_uuid, open_as, publish_bytes, standing, start_of_time, submit,
    tester,
};

/// Less than the heartbeats of a consumer that died would take to be missed.
const SOON: Duration = Duration::from_secs(10);
/// More than a ledger has to differ before a reader believes it.
const BELIEVED: Duration = Duration::from_secs(40);

type Following = BoxStream<'static, Result<Followed, FollowError>>;

fn in_memory() -> (Arc<MemoryStore>, Ledger) {
    let store = Arc::new(MemoryStore::new(standing()));
    let ledger = Ledger::new(Arc::clone(&store) as _, standing());
    (store, ledger)
}

/// A ledger in memory with so many submissions.
async fn with(count: usize) -> (Arc<MemoryStore>, Ledger) {
    let (store, ledger) = in_memory();
    for _ in 0..count {
        submit(&ledger).await;
    }
    (store, ledger)
}

async fn next(following: &mut Following) -> Followed {
    timeout(SOON, following.next()).await.unwrap().unwrap().unwrap()
}

/// Takes in so many entries, and returns where the reader stands.
async fn read(following: &mut Following, count: u64) -> LedgerPosition {
    let mut position = next(following).await.position;
    for _ in 1..count {
        position = next(following).await.position;
    }
    position
}

/// The end of a stream that ends because the ledger differs.
async fn differs(following: &mut Following) -> HistoryDiffers {
    let item = timeout(BELIEVED, following.next()).await.unwrap().unwrap();
    let Err(FollowError::Differs(how)) = item else { panic!("{item:?}") };
    assert!(following.next().await.is_none());
    how
}

#[tokio::test]
async fn a_removed_event_is_a_hole_and_the_end() {
    let (store, ledger) = with(4).await;
    store.remove(3);
    let mut following = ledger.follow(None);
    read(&mut following, 2).await;
    let hole = following.next().await.unwrap();
    assert!(matches!(hole, Err(FollowError::Hole { expected: 3, found: 4 })), "{hole:?}");
    assert!(following.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_to_a_ledger_that_was_set_back_is_told() {
    let (store, ledger) = with(4).await;
    let read = store.position_at(4);
    // A reader that has read all of it waits for more.
    timeout(SOON, ledger.follow(read).next()).await.unwrap_err();
    store.set_back(3);
    let how = differs(&mut ledger.follow(read)).await;
    assert_eq!(how, HistoryDiffers::SetBack { read: 4, last: 3 });
    assert_eq!(ledger.confirm(read).await, Err(how));
    assert_eq!(ledger.confirm(store.position_at(3)).await, Ok(LEDGER));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_was_set_back_under_a_reader_is_noticed_before_anything_is_read() {
    let (store, ledger) = with(4).await;
    let mut following = ledger.follow(None);
    read(&mut following, 4).await;
    store.set_back(2);
    assert_eq!(differs(&mut following).await, HistoryDiffers::SetBack { read: 4, last: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_was_set_back_and_has_grown_past_its_reader_is_noticed() {
    let (store, ledger) = with(4).await;
    let mut following = ledger.follow(None);
    read(&mut following, 4).await;
    store.go_away(true);
    store.set_back(2);
    store.go_away(false);
    for _ in 0..5 {
        submit(&ledger).await;
    }
    assert_eq!(differs(&mut following).await, HistoryDiffers::Rewritten { sequence: 4 });
}

#[tokio::test(start_paused = true)]
async fn another_ledger_with_the_same_events_is_another_one() {
    let (store, ledger) = with(2).await;
    let mut following = ledger.follow(None);
    read(&mut following, 2).await;
    let found = LedgerId::new(fresh_uuid());
    store.replace(Some(found));
    assert_eq!(differs(&mut following).await, HistoryDiffers::Replaced { read: LEDGER, found });
    store.replace(None);
    assert_eq!(differs(&mut ledger.follow(None)).await, HistoryDiffers::NoLedgerId);
}

#[tokio::test(start_paused = true)]
async fn a_history_whose_beginning_was_archived_says_so() {
    let (store, ledger) = with(5).await;
    let second = store.position_at(2);
    store.archive(4);
    let from_the_beginning = differs(&mut ledger.follow(None)).await;
    assert_eq!(from_the_beginning, HistoryDiffers::Archived { read: 0, first: 4 });
    let text = from_the_beginning.to_string();
    assert!(text.contains("begins at sequence 4") && text.contains("archived"), "{text}");
    let from_before = differs(&mut ledger.follow(second)).await;
    assert_eq!(from_before, HistoryDiffers::Archived { read: 2, first: 4 });
    let position = read(&mut ledger.follow(store.position_at(4)), 1).await;
    assert_eq!(position.sequence, 5);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_again_and_again_loses_nothing_and_repeats_nothing() {
    let (store, ledger) = in_memory();
    let mut following = ledger.follow(None);
    for sequence in 1..=20 {
        submit(&ledger).await;
        store.reconnect();
        assert_eq!(next(&mut following).await.position.sequence, sequence);
    }
}

#[tokio::test]
async fn a_reader_may_begin_at_a_time() {
    let clock = Arc::new(ManualClock::at(start_of_time()));
    let ledger = Ledger::new(Arc::new(MemoryStore::new(clock.clone())), clock.clone());
    assert_eq!(ledger.first_since(start_of_time()).await.unwrap(), 1);
    for _ in 0..7 {
        submit(&ledger).await;
        clock.advance(Duration::from_secs(10));
    }
    for (second, first) in [(0, 1), (1, 2), (10, 2), (59, 7), (60, 7), (61, 8)] {
        let time = start_of_time() + Duration::from_secs(second);
        assert_eq!(ledger.first_since(time).await.unwrap(), first, "from second {second} on");
    }
}

#[tokio::test]
async fn an_empty_ledger_on_a_server_has_nothing_since_any_time() {
    let server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    assert_eq!(ledger.first_since(start_of_time()).await.unwrap(), 1);
}

#[tokio::test]
async fn foreign_bytes_are_told_and_passed_by() {
    let (store, ledger) = with(1).await;
    store.put_raw("ledger.weather.today", "{}");
    let id = fresh_id();
    let subject = format!("ledger.submission.run.normal.core.{}.{id}", id.key_part());
    store.put_raw(&subject, "hi");
    submit(&ledger).await;
    let mut following = ledger.follow(None);
    let mut foreign = Vec::new();
    for sequence in 1..=4 {
        let followed = next(&mut following).await;
        assert_eq!(Some(followed.position), store.position_at(sequence));
        if let LedgerEntry::Foreign(message) = followed.entry {
            foreign.push((message.sequence, message.subject));
        }
    }
    assert_eq!(foreign, [(2, "ledger.weather.today".to_owned()), (3, subject)]);
}

#[tokio::test]
async fn a_newer_form_ends_the_reading_before_it() {
    let (store, ledger) = with(2).await;
    let first = ledger::EventStore::get(store.as_ref(), 1).await.unwrap().unwrap();
    let newer = String::from_utf8(first.payload.to_vec()).unwrap();
    store.put_raw(&first.subject, newer.replace("accepted:2\"", "accepted:3\""));
    let mut following = ledger.follow(None);
    read(&mut following, 2).await;
    let unread = following.next().await.unwrap();
    let newer = matches!(unread, Err(FollowError::Read(ReadError::Newer { sequence: 3, .. })));
    assert!(newer, "{unread:?}");
    assert!(following.next().await.is_none());
}

#[tokio::test]
async fn the_end_is_where_a_reader_stands_that_has_read_everything() {
    let (store, ledger) = in_memory();
    assert_eq!(ledger.end().await.unwrap(), None);
    submit(&ledger).await;
    submit(&ledger).await;
    assert_eq!(ledger.end().await.unwrap(), store.position_at(2));
    assert_eq!(ledger.position_at(1).await.unwrap(), store.position_at(1));
    assert_eq!(ledger.position_at(3).await.unwrap(), None);
}

#[tokio::test]
async fn a_follower_outlives_restarts_of_the_server() {
    let mut server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    let mut following = ledger.follow(None);
    for round in 0..3 {
        submit(&ledger).await;
        assert_eq!(next(&mut following).await.position.sequence, 2 * round + 1);
        server.kill();
        assert!(following.next().now_or_never().is_none());
        server.restart().await;
        submit(&ledger).await;
        assert_eq!(next(&mut following).await.position.sequence, 2 * round + 2);
    }
}

/// What breaks a client's connection when it is delivered, or looks like a word of the server.
const UNDELIVERABLE: [(&[u8], &[u8]); 6] = [
    (b"ledger.submission.run.normal.core.x.1", b"NATS/1.0\r\nno colon\r\n\r\n"),
    (b"ledger.submission.run.normal.core.x.2", b"NATS/1.0\r\na: \xff\r\n\r\n"),
    (b"ledger.submission.run.normal.core.x.3", b"NATS/1.0 503\r\n\r\n"),
    (b"ledger.submission.run.normal.core.x.\xff", b"NATS/1.0\r\n\r\n"),
    (b"ledger.submission.run.normal.core.x.\xc2\xa0", b"NATS/1.0\r\n\r\n"),
    (b"ledger.submission.run.normal.core.x.4", b"NATS/1.0 100\r\n\r\n"),
];

#[tokio::test]
async fn what_the_client_cannot_take_as_a_delivery_is_foreign_and_passed_by() {
    let server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    submit(&ledger).await;
    let mut following = ledger.follow(None);
    read(&mut following, 1).await;
    for (subject, headers) in UNDELIVERABLE {
        publish_bytes(&server, subject, headers).await;
        let entry = next(&mut following).await.entry;
        assert!(matches!(entry, LedgerEntry::Foreign(_)), "{entry:?}");
    }
    submit(&ledger).await;
    assert_eq!(read(&mut following, 1).await.sequence, 8);
    // A reader of later, that meets all of them on its way.
    assert_eq!(read(&mut ledger.follow(None), 8).await.sequence, 8);
}

#[tokio::test]
async fn a_store_that_was_set_back_to_a_copy_under_a_follower_is_noticed() {
    let mut server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    for _ in 0..3 {
        submit(&ledger).await;
    }
    server.save();
    server.restart().await;
    for _ in 0..3 {
        submit(&ledger).await;
    }
    let mut following = ledger.follow(None);
    let position = read(&mut following, 6).await;
    server.set_back();
    server.restart().await;
    assert_eq!(differs(&mut following).await, HistoryDiffers::SetBack { read: 6, last: 3 });
    // Other submissions have the same sequences now.
    for _ in 0..4 {
        submit(&ledger).await;
    }
    let how = differs(&mut ledger.follow(Some(position))).await;
    assert_eq!(how, HistoryDiffers::Rewritten { sequence: 6 });
    assert_eq!(read(&mut ledger.follow(None), 7).await.sequence, 7);
}

/// The stream, as an operator sees it.
pub(crate) async fn ledger_stream(server: &NatsServer) -> jetstream::stream::Stream {
    let client = tester(server).await;
    jetstream::new(client).get_stream(LEDGER_STREAM).await.unwrap()
}

/// Every consumer of the stream, with how many messages it was sent.
async fn consumers(stream: &jetstream::stream::Stream) -> Vec<(String, u64)> {
    let all = stream.consumers().map(|info| info.unwrap());
    all.map(|info| (info.name, info.delivered.consumer_sequence)).collect().await
}

/// Waits until the stream has so many consumers.
async fn with_consumers(stream: &jetstream::stream::Stream, count: usize) -> Vec<(String, u64)> {
    let reached = async {
        loop {
            let found = consumers(stream).await;
            if found.len() == count {
                return found;
            }
        }
    };
    // The server forgets a consumer by itself when the word of its end is lost, only later.
    timeout(2 * SOON, reached).await.expect("the stream has as many consumers as expected")
}

#[tokio::test]
async fn a_follower_whose_consumer_is_lost_begins_where_it_stands_and_leaves_none_behind() {
    let server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    for _ in 0..50 {
        submit(&ledger).await;
    }
    let stream = ledger_stream(&server).await;
    let mut following = ledger.follow(ledger.end().await.unwrap());
    // It has not read anything when it loses its consumer.
    let found = tokio::select! {
        item = following.next() => panic!("{item:?}"),
        found = with_consumers(&stream, 1) => found,
    };
    assert!(found[0].0.starts_with(&format!("{TESTER}-follow-")), "{found:?}");
    stream.delete_consumer(&found[0].0).await.unwrap();
    submit(&ledger).await;
    assert_eq!(read(&mut following, 1).await.sequence, 51);
    // One consumer again, which was sent nothing that its reader had.
    let found = tokio::select! {
        item = following.next() => panic!("{item:?}"),
        found = with_consumers(&stream, 1) => found,
    };
    assert_eq!(found[0].1, 0, "{found:?}");
    drop(following);
    with_consumers(&stream, 0).await;
}

/// A stream from which messages can be removed, as no stream of ours.
pub(crate) async fn soft_stream(server: &NatsServer) -> (jetstream::stream::Stream, Ledger) {
    let client = tester(server).await;
    let config = jetstream::stream::Config {
        name: LEDGER_STREAM.to_owned(),
        subjects: LEDGER_SUBJECTS.map(str::to_owned).to_vec(),
        metadata: [("ledger_id".to_owned(), LEDGER.to_string())].into(),
        ..jetstream::stream::Config::default()
    };
    let stream = jetstream::new(client).create_stream(config).await.unwrap();
    let connection = open_as(&server.url(), TESTER).await;
    (stream, connection.ledger(clock()))
}

#[tokio::test]
async fn messages_that_were_removed_on_a_real_server_are_noticed() {
    let server = NatsServer::start().await;
    let (stream, ledger) = soft_stream(&server).await;
    for _ in 0..5 {
        submit(&ledger).await;
    }
    stream.delete_message(3).await.unwrap();
    let seen: Vec<_> = timeout(SOON, ledger.follow(None).collect()).await.unwrap();
    assert_eq!(seen.len(), 3);
    assert!(matches!(seen[2], Err(FollowError::Hole { expected: 3, found: 4 })), "{:?}", seen[2]);

    stream.purge().sequence(3).await.unwrap();
    let how = differs(&mut ledger.follow(None)).await;
    assert_eq!(how, HistoryDiffers::Archived { read: 0, first: 4 });
}
