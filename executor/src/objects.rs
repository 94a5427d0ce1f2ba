//! The object store, as far as submissions need it.

use std::fmt;

use async_trait::async_trait;
use events::{ObjectBucket, ObjectRef};
use ledger::{ObjectError, Objects};

/// Stores and fetches objects.
#[async_trait]
pub trait Blobs: fmt::Debug + Send + Sync {
    /// Stores an object and returns its name.
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ObjectError>;

    /// Fetches an object.
    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError>;
}

#[async_trait]
impl Blobs for Objects {
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ObjectError> {
        self.put(bucket, bytes).await
    }

    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        self.get(object).await
    }
}
