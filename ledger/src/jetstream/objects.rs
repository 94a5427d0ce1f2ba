//! The object buckets on JetStream.

use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::object_store::{GetErrorKind, InfoErrorKind, ObjectStore as Bucket};
use async_trait::async_trait;
use backon::Retryable as _;
use events::{ObjectBucket, ObjectRef};
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout_at};

use super::usage;
use crate::error::Fault;
use crate::objects::{ObjectError, ObjectStore};
use crate::retry::{PATIENT, until};
use crate::store::StorageUsage;

/// How long one try may take, and a second more for each MiB: a reader whose object is replaced
/// under it waits in vain.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
const MIB: u64 = 1024 * 1024;
/// How many whole tries there is time for.
const TRIES: u32 = 3;

/// The object buckets.
#[derive(Clone, Debug)]
pub(crate) struct JetStreamObjects {
    context: Context,
}

impl JetStreamObjects {
    /// Uses an open connection.
    pub(crate) const fn new(context: Context) -> Self {
        Self { context }
    }

    async fn bucket(&self, bucket: ObjectBucket) -> Result<Bucket, ObjectError> {
        let found = self.context.get_object_store(bucket.as_str()).await;
        found.map_err(|error| ObjectError::Unavailable(error.into()))
    }

    async fn is_there(&self, object: &ObjectRef) -> Result<bool, ObjectError> {
        match self.bucket(object.bucket).await?.info(object.sha256.to_string()).await {
            // The client writes the info last, so an upload that broke off has none.
            Ok(info) => Ok(!info.deleted && info.size as u64 == object.bytes),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(ObjectError::Unavailable(error.into())),
        }
    }

    async fn write(&self, object: &ObjectRef, mut bytes: &[u8]) -> Result<(), ObjectError> {
        // The client's `put` always writes, and then removes the old chunks under a reader that is
        // fetching them.
        if self.is_there(object).await? {
            return Ok(());
        }
        let (bucket, name) = (self.bucket(object.bucket).await?, object.sha256.to_string());
        let written = bucket.put(name.as_str(), &mut bytes).await;
        written.map(drop).map_err(|error| put_failed(object.bucket, error.into()))
    }

    async fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        let found = self.bucket(object.bucket).await?.get(object.sha256.to_string()).await;
        let stored = match found {
            Ok(stored) => stored,
            Err(error) if error.kind() == GetErrorKind::NotFound => {
                return Err(ObjectError::Absent(object.clone()));
            }
            Err(error) => return Err(ObjectError::Unavailable(error.into())),
        };
        // Compared before the fetch, so that an object of a wrong size costs no transfer.
        if stored.info().size as u64 != object.bytes {
            return Err(ObjectError::Corrupt(object.clone()));
        }
        let mut bytes = Vec::new();
        // The info may lie about the size. One byte too many is enough to see that, and keeps the
        // memory bounded.
        match stored.take(object.bytes + 1).read_to_end(&mut bytes).await {
            Ok(_) if ObjectRef::of(object.bucket, &bytes) == *object => Ok(bytes),
            Ok(_) => Err(ObjectError::Corrupt(object.clone())),
            // The chunks do not have their digest, and no later try changes that.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(ObjectError::Corrupt(object.clone()))
            }
            Err(error) => Err(ObjectError::Unavailable(error.into())),
        }
    }
}

#[async_trait]
impl ObjectStore for JetStreamObjects {
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ObjectError> {
        let object = ObjectRef::of(bucket, &bytes);
        retried(object.bytes, || self.write(&object, &bytes)).await?;
        Ok(object)
    }

    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        retried(object.bytes, || self.read(object)).await
    }

    async fn usage(&self, bucket: ObjectBucket) -> Result<StorageUsage, ObjectError> {
        let stream = self.context.get_stream(format!("OBJ_{bucket}")).await;
        let stream = stream.map_err(|error| ObjectError::Unavailable(error.into()))?;
        Ok(usage(stream.cached_info()))
    }
}

/// The object store gives the server's answer as text only.
fn put_failed(bucket: ObjectBucket, fault: Fault) -> ObjectError {
    let text = fault.to_string();
    if text.contains("maximum bytes exceeded") || text.contains("maximum messages exceeded") {
        return ObjectError::Full(bucket);
    }
    ObjectError::Unavailable(fault)
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
