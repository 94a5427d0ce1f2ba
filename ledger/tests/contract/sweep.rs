//! The sweep: what no event names goes when it is old enough, and nothing else.

use std::time::Duration;

use events::event::{Accepted, Suite};
use events::{Content, ObjectBucket, ObjectRef};
use ledger::{Accepting, Connection, ObjectError, ObjectStore, Swept};
use servers::testing::NatsServer;

use crate::common::{accepted, clock, connect, fresh_id, submit, writer};

const LARGE: usize = 100_000;

async fn put(objects: &dyn ObjectStore, bucket: ObjectBucket, fill: u8) -> ObjectRef {
    objects.put(bucket, vec![fill; LARGE]).await.unwrap()
}

async fn is_there(objects: &dyn ObjectStore, object: &ObjectRef) -> bool {
    match objects.get(object).await {
        Ok(_) => true,
        Err(ObjectError::Absent(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

async fn accept(connection: &Connection, stdin: &ObjectRef, suite: &ObjectRef) {
    let accepted = Accepted {
        stdin: Content::Object(stdin.clone()),
        suite: Some(Suite::Object { object: suite.clone(), count: 1 }),
        ..accepted()
    };
    let ledger = connection.ledger(clock());
    let accepting = ledger.accept(fresh_id(), accepted, &writer("api")).await.unwrap();
    assert!(matches!(accepting, Accepting::New(_)));
}

#[tokio::test]
async fn objects_that_no_event_names_go_and_others_stay() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let objects = connection.objects();
    let objects = objects.as_ref();
    let stdin = put(objects, ObjectBucket::Sources, b'a').await;
    let suite = put(objects, ObjectBucket::Tests, b'b').await;
    let output = put(objects, ObjectBucket::Outputs, b'c').await;
    let lost = put(objects, ObjectBucket::Sources, b'd').await;
    let refused = put(objects, ObjectBucket::Tests, b'e').await;
    submit(&connection.ledger(clock())).await;
    accept(&connection, &stdin, &suite).await;

    let mut sweeper = connection.sweeper(connection.ledger(clock())).with_age_min(Duration::ZERO);
    let swept = sweeper.sweep().await.unwrap();
    assert_eq!(swept, Swept { objects: 2, bytes: 2 * LARGE as u64 });
    for (object, stays) in
        [(&stdin, true), (&suite, true), (&output, true), (&lost, false), (&refused, false)]
    {
        assert_eq!(is_there(objects, object).await, stays, "{object:?}");
    }

    // What is accepted later is read by the next sweep.
    let (stdin, suite) = (
        put(objects, ObjectBucket::Sources, b'd').await,
        put(objects, ObjectBucket::Tests, b'f').await,
    );
    accept(&connection, &stdin, &suite).await;
    assert_eq!(sweeper.sweep().await.unwrap(), Swept::default());
    assert!(is_there(objects, &stdin).await && is_there(objects, &suite).await);
}

#[tokio::test]
async fn what_a_submission_may_need_that_is_being_accepted_stays() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let objects = connection.objects();
    let stored = put(objects.as_ref(), ObjectBucket::Sources, b'a').await;
    let mut sweeper = connection.sweeper(connection.ledger(clock()));
    assert_eq!(sweeper.sweep().await.unwrap(), Swept::default());
    assert!(is_there(objects.as_ref(), &stored).await);
}

#[tokio::test]
async fn an_object_that_was_swept_is_stored_again_by_who_relied_on_it() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let objects = connection.objects();
    let stored = put(objects.as_ref(), ObjectBucket::Sources, b'a').await;
    let mut sweeper = connection.sweeper(connection.ledger(clock())).with_age_min(Duration::ZERO);
    assert_eq!(sweeper.sweep().await.unwrap().objects, 1);
    put(objects.as_ref(), ObjectBucket::Sources, b'a').await;
    assert!(is_there(objects.as_ref(), &stored).await);
}
