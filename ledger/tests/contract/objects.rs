//! Objects: named by their content, written once, and never taken for what they are not.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::Info;
use events::{Digest, ObjectBucket, ObjectRef};
use futures::future::join_all;
use ledger::memory::MemoryObjects;
use ledger::testing::small_streams;
use ledger::{OBJECT_BYTES_MAX, ObjectError, ObjectStore};
use servers::testing::{NatsServer, TESTER};

use crate::common::{FreshIds, connect, open_as, provisioner, tester};

/// More than stays inline, and no whole number of anything.
fn large() -> Vec<u8> {
    (0..300_001_u32).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

async fn context(server: &NatsServer) -> jetstream::Context {
    jetstream::new(tester(server).await)
}

async fn info(server: &NatsServer, bucket: ObjectBucket) -> Info {
    let stream = context(server).await.get_stream(format!("OBJ_{bucket}")).await.unwrap();
    stream.cached_info().clone()
}

/// How much was ever written, whatever was taken away since.
async fn written_to(server: &NatsServer, bucket: ObjectBucket) -> u64 {
    info(server, bucket).await.state.last_sequence
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

async fn the_largest_object_fits_and_one_byte_more_is_refused(objects: &dyn ObjectStore) {
    let mut bytes = vec![b'x'; OBJECT_BYTES_MAX];
    let object = objects.put(ObjectBucket::Outputs, bytes.clone()).await.unwrap();
    assert_eq!(objects.get(&object).await.unwrap(), bytes);
    bytes.push(b'x');
    let refused = objects.put(ObjectBucket::Outputs, bytes).await;
    assert!(matches!(refused, Err(ObjectError::TooLarge(_))), "{refused:?}");
}

/// What every object store keeps, and is seen through `other`, too.
async fn contract(objects: &dyn ObjectStore, other: &dyn ObjectStore) {
    what_is_put_is_got_at_once(objects, other).await;
    the_largest_object_fits_and_one_byte_more_is_refused(objects).await;
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
    let other = open_as(&server.url(), TESTER).await.objects();
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
async fn an_object_is_one_message_and_is_not_written_again() {
    let server = NatsServer::start().await;
    let objects = connect(&server).await.objects();
    let first = objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    let before = info(&server, ObjectBucket::Outputs).await.state;
    assert_eq!((before.messages, before.last_sequence), (1, 1));
    let again = objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(written_to(&server, ObjectBucket::Outputs).await, 1);
}

#[tokio::test]
async fn an_object_that_others_wrote_long_ago_is_written_anew_in_its_place() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let objects = connection.objects_fresh_for(Duration::ZERO);
    objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    let before = info(&server, ObjectBucket::Outputs).await.state;
    objects.put(ObjectBucket::Outputs, large()).await.unwrap();
    // Another process knows nothing of it.
    let named = connection.objects().put(ObjectBucket::Outputs, large()).await.unwrap();
    let after = info(&server, ObjectBucket::Outputs).await.state;
    assert_eq!((after.messages, after.last_sequence), (1, before.last_sequence + 2));
    assert!(after.bytes <= before.bytes, "both are kept");
    assert!(after.first_timestamp > before.first_timestamp);
    assert_eq!(objects.get(&named).await.unwrap(), large());
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
    let context = context(&server).await;
    let named = ObjectRef { sha256: Digest::of(b"good"), bucket: ObjectBucket::Outputs, bytes: 4 };
    for wrong in ["evil", "longer", "s", ""] {
        let subject = format!("object.OUTPUTS.{}", named.sha256);
        context.publish(subject, wrong.into()).await.unwrap().await.unwrap();
        let corrupt = objects.get(&named).await;
        assert!(matches!(corrupt, Err(ObjectError::Corrupt(_))), "{wrong:?}: {corrupt:?}");
    }
}

#[tokio::test]
async fn a_full_bucket_says_so() {
    let server = NatsServer::start().await;
    let mut settings = small_streams(1, vec![server.monitor_url()]);
    settings.objects_bytes_max = 100 * 1024;
    provisioner(&server).await.provision(&settings, &FreshIds).await.unwrap();
    let objects = open_as(&server.url(), "command-api").await.objects();
    let refused = objects.put(ObjectBucket::Sources, large()).await;
    assert!(matches!(refused, Err(ObjectError::Full(ObjectBucket::Sources))), "{refused:?}");
    let reader = open_as(&server.url(), "executor").await.objects();
    let absent = reader.get(&ObjectRef::of(ObjectBucket::Sources, &large())).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn many_large_objects_can_be_fetched_at_once() {
    let server = NatsServer::start().await;
    let mut settings = small_streams(1, vec![server.monitor_url()]);
    settings.objects_bytes_max = 256 * 1024 * 1024;
    provisioner(&server).await.provision(&settings, &FreshIds).await.unwrap();
    let objects = open_as(&server.url(), TESTER).await.objects();
    let mut stored = Vec::new();
    for fill in 0..20 {
        let bytes = vec![fill; OBJECT_BYTES_MAX];
        stored.push(objects.put(ObjectBucket::Outputs, bytes).await.unwrap());
    }
    for fetched in join_all(stored.iter().map(|object| objects.get(object))).await {
        assert_eq!(fetched.unwrap().len(), OBJECT_BYTES_MAX);
    }
}
