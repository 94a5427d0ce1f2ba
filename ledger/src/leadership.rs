//! What one process of several should do at a time: the process that leads keeps an entry with a
//! short life, which the others find.

use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::{CreateErrorKind, UpdateErrorKind};
use tokio::sync::Mutex;

use crate::error::{Fault, QueueError};

/// The key-value bucket.
pub(crate) const BUCKET: &str = "LEADERS";

/// How long an entry lives: at the most so long none leads after the process that led was killed.
pub const LEADERSHIP_TIME: Duration = Duration::from_secs(30);

/// The wish of one process to lead.
///
/// It saves work and makes nothing safe: a process that was paused believes for a while that it
/// leads.
#[derive(Debug)]
pub struct Leadership {
    context: Context,
    key: String,
    /// Shown to an operator who looks at the bucket.
    holder: String,
    /// The revision of our entry, if it is ours.
    revision: Mutex<Option<u64>>,
}

impl Leadership {
    pub(crate) fn new(context: Context, key: String, holder: String) -> Self {
        Self { context, key, holder, revision: Mutex::default() }
    }

    /// Takes the lead if it is free, and keeps it if this process has it. Tells whether it does,
    /// for [`LEADERSHIP_TIME`] from the call on.
    pub async fn hold(&self) -> Result<bool, QueueError> {
        let mut revision = self.revision.lock().await;
        *revision = self.entry(*revision).await.map_err(QueueError)?;
        Ok(revision.is_some())
    }

    /// Makes the entry or renews it. None if it is another process's.
    async fn entry(&self, revision: Option<u64>) -> Result<Option<u64>, Fault> {
        let bucket = self.context.get_key_value(BUCKET).await?;
        let value = self.holder.clone().into();
        let Some(revision) = revision else {
            return match bucket.create(&self.key, value).await {
                Ok(revision) => Ok(Some(revision)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(None),
                Err(error) => Err(error.into()),
            };
        };
        match bucket.update(&self.key, value, revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
