//! Objects: named by their content, written once, and never taken for what they are not.

use async_nats::jetstream::{self, object_store};
use events::{Digest, ObjectBucket, ObjectRef};
use futures::future::join_all;
use ledger::memory::MemoryObjects;
use ledger::testing::small_streams;
use ledger::{Connection, ObjectError, ObjectStore};
use servers::testing::NatsServer;

use crate::common::connect;

/// Several chunks, and no whole number of them.
fn large() -> Vec<u8> {
    (0..300_001_u32).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

async fn bucket(server: &NatsServer, bucket: ObjectBucket) -> object_store::ObjectStore {
    let client = async_nats::connect(server.url()).await.unwrap();
    jetstream::new(client).get_object_store(bucket.as_str()).await.unwrap()
}

/// How much was ever written, whatever was taken away since.
async fn written_to(server: &NatsServer, bucket: ObjectBucket) -> u64 {
    let client = async_nats::connect(server.url()).await.unwrap();
    let name = format!("OBJ_{bucket}");
    jetstream::new(client).get_stream(name).await.unwrap().cached_info().state.last_sequence
}

async fn what_is_put_is_got_at_once(objects: &dyn ObjectStore, other: &dyn ObjectStore) {
    for &bucket in ObjectBucket::ALL {
        for bytes in [Vec::new(), b"x".to_vec(), large()] {
            let object = objects.put(bucket, bytes.clone()).await.unwrap();
            assert_eq!(object, ObjectRef::of(bucket, &bytes));
            assert_eq!(other.get(&object).await.unwrap(), bytes);
        }
    }
}

async fn an_object_that_is_there_takes_no_more_room(objects: &dyn ObjectStore) {
    let first = objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    let before = objects.usage(ObjectBucket::Outputs).await.unwrap();
    let again = objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(objects.usage(ObjectBucket::Outputs).await.unwrap(), before);
    assert!(before.bytes >= first.bytes, "{before:?}");
}

async fn an_object_that_was_never_put_is_absent(objects: &dyn ObjectStore) {
    let object = ObjectRef::of(ObjectBucket::Tests, b"never put");
    let absent = objects.get(&object).await;
    assert!(matches!(&absent, Err(ObjectError::Absent(named)) if *named == object), "{absent:?}");
}

/// What every object store keeps, and is seen through `other`, too.
async fn contract(objects: &dyn ObjectStore, other: &dyn ObjectStore) {
    what_is_put_is_got_at_once(objects, other).await;
    an_object_that_is_there_takes_no_more_room(objects).await;
    an_object_that_was_never_put_is_absent(objects).await;
}

#[tokio::test]
async fn objects_in_memory_keep_the_contract() {
    let objects = MemoryObjects::default();
    contract(&objects, &objects).await;
}

#[tokio::test]
async fn objects_on_a_server_keep_the_contract() {
    let server = NatsServer::start().await;
    let objects = connect(&server).await.objects();
    let other = Connection::open(&server.url(), "other").await.unwrap().objects();
    contract(objects.as_ref(), other.as_ref()).await;
}

#[tokio::test]
async fn objects_in_memory_can_be_away_and_full() {
    let objects = MemoryObjects::default();
    let object = objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    objects.fill_up(true);
    let refused = objects.put(ObjectBucket::Outputs, b"more".to_vec()).await;
    assert!(matches!(refused, Err(ObjectError::Full(ObjectBucket::Outputs))), "{refused:?}");
    assert_eq!(objects.put(ObjectBucket::Outputs, large()).await.unwrap(), object);
    objects.go_away(true);
    let away = objects.get(&object).await;
    assert!(matches!(away, Err(ObjectError::Unavailable(_))), "{away:?}");
}

#[tokio::test]
async fn an_object_that_is_there_is_not_written_again() {
    let server = NatsServer::start().await;
    let objects = connect(&server).await.objects();
    let first = objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    let before = written_to(&server, ObjectBucket::Outputs).await;
    let again = objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(written_to(&server, ObjectBucket::Outputs).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_of_one_object_agree() {
    let server = NatsServer::start().await;
    let objects = connect(&server).await.objects();
    let writers = (0..8).map(|_| objects.put(ObjectBucket::Sources, large()));
    for written in join_all(writers).await {
        assert_eq!(objects.get(&written.unwrap()).await.unwrap(), large());
    }
}

#[tokio::test]
async fn an_object_that_is_not_what_its_name_says_is_corrupt() {
    let server = NatsServer::start().await;
    let objects = connect(&server).await.objects();
    let store = bucket(&server, ObjectBucket::Outputs).await;
    let named = ObjectRef { sha256: Digest::of(b"good"), bucket: ObjectBucket::Outputs, bytes: 4 };
    for wrong in ["evil", "longer", "s", ""] {
        store.put(named.sha256.to_string().as_str(), &mut wrong.as_bytes()).await.unwrap();
        let corrupt = objects.get(&named).await;
        assert!(matches!(corrupt, Err(ObjectError::Corrupt(_))), "{wrong:?}: {corrupt:?}");
    }
}

#[tokio::test]
async fn a_full_bucket_says_so() {
    let server = NatsServer::start().await;
    let connection = Connection::open(&server.url(), "test").await.unwrap();
    let mut settings = small_streams(1, vec![server.monitor_url()]);
    settings.objects_bytes_max = 100 * 1024;
    connection.provision(&settings).await.unwrap();
    let objects = connection.objects();
    let refused = objects.put(ObjectBucket::Sources, large()).await;
    assert!(matches!(refused, Err(ObjectError::Full(ObjectBucket::Sources))), "{refused:?}");
    let absent = objects.get(&ObjectRef::of(ObjectBucket::Sources, &large())).await;
    assert!(matches!(absent, Err(ObjectError::Absent(_))), "{absent:?}");
}

#[tokio::test]
async fn a_put_waits_out_a_restart() {
    let mut server = NatsServer::start().await;
    let objects = connect(&server).await.objects();
    server.kill();
    // The put is polled first, and so meets nobody.
    let (object, ()) = tokio::join!(objects.put(ObjectBucket::Sources, large()), server.restart());
    assert_eq!(objects.get(&object.unwrap()).await.unwrap(), large());
}
