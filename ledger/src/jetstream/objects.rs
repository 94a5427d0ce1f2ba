//! The object buckets on JetStream: each is a stream, and each object is one message, under a
//! subject that ends in its digest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::Context;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream};
use async_trait::async_trait;
use backon::Retryable as _;
use bytes::Bytes;
use events::{ObjectBucket, ObjectRef};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::{answer, usage};
use crate::objects::{OBJECT_BYTES_MAX, ObjectError, ObjectStore};
use crate::retry::{PATIENT, until};
use crate::store::{PublishError, StorageUsage};

/// How long one try may take, and a second more for each MiB.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
const MIB: u64 = 1024 * 1024;
/// How many whole tries there is time for.
const TRIES: u32 = 3;
/// For how long a process relies on an object that it has written itself. An older one is written
/// anew, since it may be about to age away or to be swept, and an event will name it.
pub(crate) const FRESH_TIME: Duration = Duration::from_mins(30);
/// Bytes of objects that a process fetches at once: the server closes a connection that has 64 MiB
/// to read.
const FETCHED_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// How many objects a process remembers that it has written. One that is forgotten too early is
/// written once more.
const REMEMBERED_MAX: usize = 4_096;

/// Returns the stream of a bucket.
pub(crate) fn stream_name(bucket: ObjectBucket) -> String {
    format!("OBJ_{bucket}")
}

/// Returns the subject of an object, or with `*` the subjects of all objects of a bucket.
pub(crate) fn subject(bucket: ObjectBucket, object: impl std::fmt::Display) -> String {
    format!("object.{bucket}.{object}")
}

/// The object buckets.
#[derive(Clone, Debug)]
pub(crate) struct JetStreamObjects {
    context: Context,
    fresh_time: Duration,
    written: Arc<Mutex<HashMap<ObjectRef, Instant>>>,
    /// A permit for each byte that is being fetched.
    fetches: Arc<Semaphore>,
}

impl JetStreamObjects {
    /// Uses an open connection, and relies on what it has written for this long.
    pub(crate) fn new(context: Context, fresh_time: Duration) -> Self {
        let fetches = Arc::new(Semaphore::new(FETCHED_BYTES_MAX as usize));
        Self { context, fresh_time, written: Arc::default(), fetches }
    }

    async fn stream(&self, bucket: ObjectBucket) -> Result<Stream<()>, ObjectError> {
        // Sends no request to the server: it only checks the name.
        let stream = self.context.get_stream_no_info(stream_name(bucket)).await;
        stream.map_err(|error| ObjectError::Unavailable(error.into()))
    }

    async fn publish(
        &self,
        object: &ObjectRef,
        message: PublishMessage,
    ) -> Result<(), PublishError> {
        // Without a connection the message would wait in the client's buffer.
        if self.context.client().connection_state() != State::Connected {
            return Err(PublishError::Away("not connected".into()));
        }
        let subject = subject(object.bucket, object.sha256);
        let sent = self.context.send_publish(subject, message).await;
        sent.map_err(answer::not_sent)?.await.map(drop).map_err(answer::not_acknowledged)
    }

    async fn write(&self, object: &ObjectRef, bytes: &Bytes) -> Result<(), ObjectError> {
        let message = || PublishMessage::build().payload(bytes.clone());
        let new = message().expected_last_subject_sequence(0);
        let written = match self.publish(object, new).await {
            Err(PublishError::WrongLast) if self.has_just_written(object) => return Ok(()),
            // The stream keeps one message of a subject, so this one takes the other's place.
            Err(PublishError::WrongLast) => self.publish(object, message()).await,
            written => written,
        };
        written.map_err(|error| put_failed(object, error))?;
        self.remember(object);
        Ok(())
    }

    async fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        let (stream, subject) =
            (self.stream(object.bucket).await?, subject(object.bucket, object.sha256));
        let payload = match stream.direct_get_last_for_subject(subject.as_str()).await {
            Ok(message) => message.payload,
            // Any server may have answered, and one that is behind does not have it yet. The leader
            // knows.
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                let request = stream.raw_message_builder().last_by_subject(subject);
                match request.send().await {
                    Ok(message) => message.payload,
                    Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                        return Err(ObjectError::Absent(object.clone()));
                    }
                    Err(error) => return Err(ObjectError::Unavailable(error.into())),
                }
            }
            Err(error) => return Err(ObjectError::Unavailable(error.into())),
        };
        if ObjectRef::of(object.bucket, &payload) == *object {
            return Ok(payload.into());
        }
        Err(ObjectError::Corrupt(object.clone()))
    }

    fn has_just_written(&self, object: &ObjectRef) -> bool {
        self.written().get(object).is_some_and(|at| at.elapsed() < self.fresh_time)
    }

    fn remember(&self, object: &ObjectRef) {
        let mut written = self.written();
        if written.len() >= REMEMBERED_MAX {
            written.clear();
        }
        written.insert(object.clone(), Instant::now());
    }

    fn written(&self) -> MutexGuard<'_, HashMap<ObjectRef, Instant>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStore for JetStreamObjects {
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ObjectError> {
        let object = ObjectRef::of(bucket, &bytes);
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(ObjectError::TooLarge(object));
        }
        let bytes = Bytes::from(bytes);
        retried(object.bytes, || self.write(&object, &bytes)).await?;
        Ok(object)
    }

    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        let bytes = u32::try_from(object.bytes).unwrap_or(u32::MAX).min(FETCHED_BYTES_MAX);
        let _turn = self.fetches.acquire_many(bytes).await;
        retried(object.bytes, || self.read(object)).await
    }

    async fn usage(&self, bucket: ObjectBucket) -> Result<StorageUsage, ObjectError> {
        let info = self.stream(bucket).await?.get_info().await;
        Ok(usage(&info.map_err(|error| ObjectError::Unavailable(error.into()))?))
    }
}

fn put_failed(object: &ObjectRef, error: PublishError) -> ObjectError {
    match error {
        PublishError::Full | PublishError::SubjectFull => ObjectError::Full(object.bucket),
        PublishError::TooLarge => ObjectError::TooLarge(object.clone()),
        // Another writer of the same object is at work.
        PublishError::WrongLast | PublishError::InFlight => {
            ObjectError::Unavailable("the object is being written".into())
        }
        PublishError::Away(fault) | PublishError::Unknown(fault) | PublishError::Refused(fault) => {
            ObjectError::Unavailable(fault)
        }
    }
}

/// Repeats an operation until it is answered or the deadline has come. Objects never change, so
/// every operation may be repeated.
async fn retried<T, F>(bytes: u64, operation: impl Fn() -> F) -> Result<T, ObjectError>
where
    F: Future<Output = Result<T, ObjectError>>,
{
    let time_max = TRY_TIMEOUT + Duration::from_secs(bytes / MIB);
    let deadline = Instant::now() + TRIES * time_max;
    let one_try = || async {
        // A try that waits in vain must leave time for the next one.
        let tried = timeout_at(deadline.min(Instant::now() + time_max), operation()).await;
        tried.unwrap_or_else(|late| Err(ObjectError::Unavailable(late.into())))
    };
    one_try
        .retry(PATIENT)
        .when(|error| matches!(error, ObjectError::Unavailable(_)))
        .adjust(until(deadline))
        .await
}
