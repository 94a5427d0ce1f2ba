//! The seam to what is too large for an event: objects named by the SHA-256 of their content, in
//! buckets.

use std::fmt::Debug;

use async_trait::async_trait;
use events::{ObjectBucket, ObjectRef};

use crate::error::Fault;
use crate::store::StorageUsage;

/// The largest object, in bytes: one message of `max_payload` in `deploy/nats/nats.conf`, less what
/// stands in its header.
pub const OBJECT_BYTES_MAX: usize = 8 * 1024 * 1024 - 1024;

/// Buckets of objects. Objects never change, so everything here may be tried again.
#[async_trait]
pub trait ObjectStore: Debug + Send + Sync {
    /// Stores an object and returns its name. One that is there already, and that will stay for
    /// long enough, is not written again.
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ObjectError>;

    /// Fetches an object, and returns it only if it is what its name says.
    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError>;

    /// Returns how full a bucket is.
    async fn usage(&self, bucket: ObjectBucket) -> Result<StorageUsage, ObjectError>;
}

/// Why an object could not be stored or fetched.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The bucket does not have the object.
    #[error("there is no object {} in {}", .0.sha256, .0.bucket)]
    Absent(ObjectRef),
    /// What lies there is not what the name says.
    #[error("object {} in {} does not have its content", .0.sha256, .0.bucket)]
    Corrupt(ObjectRef),
    /// The bucket has no room.
    #[error("the bucket {0} is full")]
    Full(ObjectBucket),
    /// The object has more than [`OBJECT_BYTES_MAX`].
    #[error("an object of {} bytes is too large for {}", .0.bytes, .0.bucket)]
    TooLarge(ObjectRef),
    /// No answer in time.
    #[error("the object store does not answer")]
    Unavailable(#[source] Fault),
}
