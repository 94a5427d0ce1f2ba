//! One contract for every event store: the fake in memory, a single server, and a stream with three
//! replicas.

use std::sync::Arc;

use bytes::Bytes;
use events::subject::Family;
use events::{Lane, Priority, Subject};
use futures::StreamExt as _;
use ledger::EventStore;
use ledger::memory::{Checks, MemoryStore};
use ledger::store::{
    Expected, MESSAGE_BYTES_MAX, Message, Publication, PublishError, SUBJECT_MESSAGES_MAX,
};
use servers::testing::{NatsCluster, NatsServer};

use crate::common::{connect, connect_cluster, fresh_id, fresh_uuid, pool, standing};

fn fresh_subject() -> String {
    Subject {
        family: Family::Outcome,
        lane: Lane::Run,
        priority: Priority::Normal,
        pool: pool(),
        id: fresh_id(),
    }
    .to_string()
}

fn publication(subject: &str, expected: Expected) -> Publication {
    Publication {
        subject: subject.to_owned(),
        id: fresh_uuid().to_string(),
        expected,
        kind: "execution.started",
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        payload: Bytes::from(fresh_uuid().to_string()),
    }
}

async fn put(store: &dyn EventStore, subject: &str, last: u64) -> (Publication, u64) {
    let publication = publication(subject, Expected::Last(last));
    let ack = store.publish(&publication).await.unwrap();
    assert!(!ack.duplicate);
    (publication, ack.sequence)
}

async fn ids_on(store: &dyn EventStore, subject: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut from = 1;
    while let Some(message) = store.next(subject, from).await.unwrap() {
        from = message.sequence + 1;
        ids.extend(message.id);
    }
    ids
}

async fn what_is_acknowledged_can_be_read(store: &dyn EventStore) {
    let subject = fresh_subject();
    let (first, at_first) = put(store, &subject, 0).await;
    let (second, at_second) = put(store, &subject, at_first).await;
    assert!(at_first < at_second);

    let same = |message: Option<Message>, publication: &Publication, sequence: u64| {
        let message = message.unwrap();
        assert_eq!(message.subject, publication.subject);
        assert_eq!(message.id.as_ref(), Some(&publication.id));
        assert_eq!(message.payload, publication.payload);
        assert_eq!(message.sequence, sequence);
    };
    same(store.last(&subject).await.unwrap(), &second, at_second);
    same(store.get(at_first).await.unwrap(), &first, at_first);
    same(store.next(&subject, 1).await.unwrap(), &first, at_first);
    same(store.next(&subject, at_first + 1).await.unwrap(), &second, at_second);
    assert_eq!(store.next(&subject, at_second + 1).await.unwrap(), None);
    assert_eq!(store.get(at_second + 1).await.unwrap(), None);
}

async fn a_subject_is_found_by_wildcard(store: &dyn EventStore) {
    let subject = Subject {
        family: Family::Outcome,
        lane: Lane::Submit,
        priority: Priority::Normal,
        pool: pool(),
        id: fresh_id(),
    };
    let (_, sequence) = put(store, &subject.to_string(), 0).await;
    put(store, &fresh_subject(), 0).await;
    let filter = Subject::lookup_filter(Family::Outcome, subject.id);
    assert_eq!(store.last(&filter).await.unwrap().unwrap().sequence, sequence);
    let filter = Subject::lookup_filter(Family::Outcome, fresh_id());
    assert_eq!(store.last(&filter).await.unwrap(), None);
}

async fn a_wrong_expectation_stores_nothing(store: &dyn EventStore) {
    let subject = fresh_subject();
    let (first, at_first) = put(store, &subject, 0).await;
    for wrong in [0, at_first - 1, at_first + 1] {
        let refused = store.publish(&publication(&subject, Expected::Last(wrong))).await;
        assert!(matches!(refused, Err(PublishError::WrongLast)), "{wrong}: {refused:?}");
    }
    assert_eq!(ids_on(store, &subject).await, [first.id]);
}

async fn publishing_again_stores_nothing(store: &dyn EventStore) {
    let subject = fresh_subject();
    let (first, at_first) = put(store, &subject, 0).await;
    match store.publish(&first).await {
        Ok(ack) => assert!(ack.duplicate && ack.sequence == at_first, "{ack:?}"),
        Err(PublishError::WrongLast) => {}
        Err(error) => panic!("{error:?}"),
    }
    assert_eq!(ids_on(store, &subject).await, [first.id]);
}

async fn an_id_is_known_on_every_subject(store: &dyn EventStore) {
    let (first, at_first) = put(store, &fresh_subject(), 0).await;
    let elsewhere = Publication { subject: fresh_subject(), ..first };
    let ack = store.publish(&elsewhere).await.unwrap();
    assert!(ack.duplicate && ack.sequence == at_first, "{ack:?}");
    assert_eq!(store.last(&elsewhere.subject).await.unwrap(), None);
}

async fn a_condition_on_a_filter_spans_lanes_and_pools(store: &dyn EventStore) {
    let id = fresh_id();
    let filter = Subject::lookup_filter(Family::Submission, id);
    let subject = |lane| {
        Subject { family: Family::Submission, lane, priority: Priority::Normal, pool: pool(), id }
            .to_string()
    };
    let after = |last| Expected::LastMatching { filter: filter.clone(), last };
    let first = publication(&subject(Lane::Run), after(0));
    let sequence = store.publish(&first).await.unwrap().sequence;
    for wrong in [0, sequence - 1, sequence + 1] {
        let refused = store.publish(&publication(&subject(Lane::Submit), after(wrong))).await;
        assert!(matches!(refused, Err(PublishError::WrongLast)), "{wrong}: {refused:?}");
    }
    assert_eq!(store.last(&filter).await.unwrap().unwrap().sequence, sequence);
    // Behind a message of another lane, whose sequence is named.
    let behind = publication(&subject(Lane::Submit), after(sequence));
    let second = store.publish(&behind).await.unwrap().sequence;
    assert_eq!(store.last(&filter).await.unwrap().unwrap().sequence, second);
}

async fn what_is_too_large_is_refused(store: &dyn EventStore) {
    let subject = fresh_subject();
    let payload = Bytes::from(vec![b'x'; MESSAGE_BYTES_MAX as usize + 1]);
    let large = Publication { payload, ..publication(&subject, Expected::Last(0)) };
    let refused = store.publish(&large).await;
    assert!(matches!(refused, Err(PublishError::TooLarge)), "{refused:?}");
    assert_eq!(store.last(&subject).await.unwrap(), None);
}

async fn a_subject_has_a_bound(store: &dyn EventStore) {
    let subject = fresh_subject();
    let mut last = 0;
    for _ in 0..SUBJECT_MESSAGES_MAX {
        last = put(store, &subject, last).await.1;
    }
    let refused = store.publish(&publication(&subject, Expected::Last(last))).await;
    assert!(matches!(refused, Err(PublishError::SubjectFull)), "{refused:?}");
    assert_eq!(store.last(&subject).await.unwrap().unwrap().sequence, last);
}

async fn a_follower_sees_all_in_order(store: &dyn EventStore) {
    let before = store.usage().await.unwrap().last_sequence;
    let (first, second) = (fresh_subject(), fresh_subject());
    put(store, &first, 0).await;
    let mut following = store.follow(before + 1);
    assert_eq!(following.next().await.unwrap().unwrap().subject, first);
    put(store, &second, 0).await;
    let next = following.next().await.unwrap().unwrap();
    assert_eq!((next.subject, next.sequence), (second, before + 2));
    let found = store.get(before + 2).await.unwrap().unwrap();
    assert_eq!((next.id, next.stored_at, next.payload), (found.id, found.stored_at, found.payload));
}

async fn what_matches_a_filter_is_found_from_a_sequence_on(store: &dyn EventStore) {
    let id = fresh_id();
    let filter = Subject::lookup_filter(Family::Outcome, id);
    let subject = |lane| {
        let (family, priority, pool) = (Family::Outcome, Priority::Normal, pool());
        Subject { family, lane, priority, pool, id }.to_string()
    };
    let (_, first) = put(store, &subject(Lane::Run), 0).await;
    put(store, &fresh_subject(), 0).await;
    let (_, second) = put(store, &subject(Lane::Submit), 0).await;
    let found =
        async |from| store.next(&filter, from).await.unwrap().map(|message| message.sequence);
    assert_eq!(found(1).await, Some(first));
    assert_eq!(found(first + 1).await, Some(second));
    assert_eq!(found(second + 1).await, None);
}

async fn the_extent_names_the_ledger_and_grows(store: &dyn EventStore) {
    let before = store.extent().await.unwrap();
    put(store, &fresh_subject(), 0).await;
    let after = store.extent().await.unwrap();
    assert!(before.ledger.is_some() && before.ledger == after.ledger, "{after:?}");
    assert_eq!((after.first_sequence, after.last_sequence), (1, before.last_sequence + 1));
}

async fn usage_grows(store: &dyn EventStore) {
    let before = store.usage().await.unwrap();
    put(store, &fresh_subject(), 0).await;
    let after = store.usage().await.unwrap();
    assert_eq!(after.messages, before.messages + 1);
    assert_eq!(after.last_sequence, before.last_sequence + 1);
    assert!(after.bytes > before.bytes && after.percent() <= 100);
}

async fn contract(store: Arc<dyn EventStore>) {
    let store = store.as_ref();
    what_is_acknowledged_can_be_read(store).await;
    a_subject_is_found_by_wildcard(store).await;
    a_wrong_expectation_stores_nothing(store).await;
    publishing_again_stores_nothing(store).await;
    an_id_is_known_on_every_subject(store).await;
    a_condition_on_a_filter_spans_lanes_and_pools(store).await;
    what_is_too_large_is_refused(store).await;
    a_subject_has_a_bound(store).await;
    a_follower_sees_all_in_order(store).await;
    what_matches_a_filter_is_found_from_a_sequence_on(store).await;
    the_extent_names_the_ledger_and_grows(store).await;
    usage_grows(store).await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    for checks in [Checks::SequenceFirst, Checks::IdFirst] {
        let store = MemoryStore::new(standing()).with_checks(checks);
        contract(Arc::new(store)).await;
    }
}

#[tokio::test]
async fn a_single_server_keeps_the_contract() {
    let server = NatsServer::start().await;
    contract(connect(&server).await.store()).await;
}

#[tokio::test]
async fn a_cluster_keeps_the_contract() {
    let cluster = NatsCluster::start(3).await;
    contract(connect_cluster(&cluster).await.store()).await;
}
