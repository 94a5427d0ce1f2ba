//! What the service asks of the servers besides events: a seam, so that the router can be tested in one process.

use std::fmt;

use async_trait::async_trait;
use events::content::ObjectRef;
use events::{ObjectBucket, Subject};
use ledger::{Fault, ObjectError, Objects, Presence};

/// Objects and signals.
#[async_trait]
pub trait Bus: fmt::Debug + Send + Sync {
    /// Stores an object under the hash of its content; one that is there already is not written again.
    async fn put_object(
        &self,
        bucket: ObjectBucket,
        bytes: Vec<u8>,
    ) -> Result<ObjectRef, ObjectError>;

    /// Tells the executors to look at a submission whose cancellation was requested.
    async fn announce_cancellation(&self, subject: &Subject) -> Result<(), Fault>;
}

/// The servers.
#[derive(Clone, Debug)]
pub struct NatsBus {
    /// Where objects lie.
    pub objects: Objects,
    /// How executors are told.
    pub presence: Presence,
}

#[async_trait]
impl Bus for NatsBus {
    async fn put_object(
        &self,
        bucket: ObjectBucket,
        bytes: Vec<u8>,
    ) -> Result<ObjectRef, ObjectError> {
        self.objects.put(bucket, bytes).await
    }

    async fn announce_cancellation(&self, subject: &Subject) -> Result<(), Fault> {
        Ok(self.presence.announce_cancellation(subject).await?)
    }
}
