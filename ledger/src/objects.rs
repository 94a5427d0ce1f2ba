//! What is too large for an event: objects named by the SHA-256 of their content, in buckets.

use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::object_store::{GetErrorKind, InfoErrorKind, ObjectStore};
use events::{Content, ObjectBucket, ObjectRef};
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use crate::error::Fault;
use crate::store::Usage;

/// How long one try may take, and a second more for each MiB: a reader whose object is replaced under it waits in vain.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
const MIB: u64 = 1024 * 1024;
/// How many whole tries there is time for.
const TRIES: u32 = 3;

/// Why an object is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("there is no object {} in {}", .0.sha256, .0.bucket)]
    Absent(ObjectRef),
    /// What lies there is not what the name says.
    #[error("object {} in {} does not have its content", .0.sha256, .0.bucket)]
    Corrupt(ObjectRef),
    /// The bucket has no room.
    #[error("the bucket {0} is full")]
    Full(ObjectBucket),
    /// No answer in time.
    #[error("the object store does not answer")]
    Unavailable(#[source] Fault),
}

/// The object buckets.
#[derive(Clone, Debug)]
pub struct Objects {
    context: Context,
}

impl Objects {
    pub(crate) const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Stores an object and returns its name. One that is there already is not written again.
    pub async fn put(
        &self,
        bucket: ObjectBucket,
        bytes: Vec<u8>,
    ) -> Result<ObjectRef, ObjectError> {
        let object = ObjectRef::of(bucket, &bytes);
        let tries = || async {
            if self.is_there(&object).await? {
                return Ok(object.clone());
            }
            let name = object.sha256.to_string();
            let written =
                self.bucket(bucket).await?.put(name.as_str(), &mut bytes.as_slice()).await;
            written.map(|_info| object.clone()).map_err(|error| put_failed(bucket, error.into()))
        };
        retried(object.bytes, tries).await
    }

    /// Fetches an object, and returns it only if it is what its name says.
    pub async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        retried(object.bytes, || self.read(object)).await
    }

    /// Returns content wherever it lies.
    pub async fn resolve(&self, content: &Content) -> Result<Vec<u8>, ObjectError> {
        match content.bytes() {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(object) => self.get(object).await,
        }
    }

    /// Makes content of bytes: inline up to `inline_max`, else as an object.
    pub async fn store(
        &self,
        bucket: ObjectBucket,
        bytes: Vec<u8>,
        inline_max: usize,
    ) -> Result<Content, ObjectError> {
        if bytes.len() <= inline_max {
            return Ok(Content::inline(bytes));
        }
        self.put(bucket, bytes).await.map(Content::Object)
    }

    /// Returns how full a bucket is.
    pub async fn usage(&self, bucket: ObjectBucket) -> Result<Usage, ObjectError> {
        let stream = self.context.get_stream(format!("OBJ_{bucket}")).await;
        let stream = stream.map_err(|error| ObjectError::Unavailable(error.into()))?;
        Ok(crate::jetstream::usage(stream.cached_info()))
    }

    async fn bucket(&self, bucket: ObjectBucket) -> Result<ObjectStore, ObjectError> {
        let found = self.context.get_object_store(bucket.as_str()).await;
        found.map_err(|error| ObjectError::Unavailable(error.into()))
    }

    async fn is_there(&self, object: &ObjectRef) -> Result<bool, ObjectError> {
        match self.bucket(object.bucket).await?.info(object.sha256.to_string()).await {
            Ok(info) => Ok(!info.deleted && info.size as u64 == object.bytes),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(ObjectError::Unavailable(error.into())),
        }
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
        if stored.info().size as u64 != object.bytes {
            return Err(ObjectError::Corrupt(object.clone()));
        }
        let mut bytes = Vec::new();
        // One byte more than it may have is enough to see that it is another one.
        match stored.take(object.bytes + 1).read_to_end(&mut bytes).await {
            Ok(_) if ObjectRef::of(object.bucket, &bytes) == *object => Ok(bytes),
            Ok(_) => Err(ObjectError::Corrupt(object.clone())),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(ObjectError::Corrupt(object.clone()))
            }
            Err(error) => Err(ObjectError::Unavailable(error.into())),
        }
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

/// Repeats what may be repeated (objects never change) until it is answered or the deadline has come.
async fn retried<T, F>(bytes: u64, attempt: impl Fn() -> F) -> Result<T, ObjectError>
where
    F: Future<Output = Result<T, ObjectError>>,
{
    let patience = TRY_TIMEOUT + Duration::from_secs(bytes / MIB);
    let deadline = Instant::now() + TRIES * patience;
    let mut backoff = Backoff::patient();
    loop {
        let until = deadline.min(Instant::now() + patience);
        let fault = match timeout_at(until, attempt()).await {
            Ok(Err(ObjectError::Unavailable(fault))) => fault,
            Ok(answer) => return answer,
            Err(late) => late.into(),
        };
        if !backoff.wait_until(deadline).await {
            return Err(ObjectError::Unavailable(fault));
        }
    }
}
