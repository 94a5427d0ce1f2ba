//! What one process of several should do at a time: the process that leads keeps an entry with a
//! short life, which the others find.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::{CreateErrorKind, Store, UpdateErrorKind};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::error::{Fault, QueueError};

/// The key-value bucket.
pub(crate) const BUCKET: &str = "LEADERS";

/// How long an entry lives: at the most so long none leads after the process that led was killed.
pub const LEADERSHIP_TIME: Duration = Duration::from_secs(10);
/// How often the lead is kept: two of these may fail.
const LEAD_EVERY: Duration = Duration::from_secs(3);
/// How often a process that does not lead tries to. An entry that is there costs the server no
/// write.
const TRY_EVERY: Duration = Duration::from_secs(1);

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

    /// Waits until this process leads.
    pub async fn gain(&self) {
        while !self.holds().await.unwrap_or(false) {
            sleep(TRY_EVERY).await;
        }
    }

    /// Keeps the lead. Returns when it is lost, or may be.
    pub async fn keep(&self) {
        let mut led_at = Instant::now();
        while led_at.elapsed() < LEADERSHIP_TIME {
            sleep(LEAD_EVERY).await;
            let asked_at = Instant::now();
            match self.holds().await {
                Some(true) => led_at = asked_at,
                Some(false) => return,
                // The entry lives on for a while, and the server may be back before its end.
                None => {}
            }
        }
    }

    /// Gives the lead away, if this process has it, so that the next one need not wait.
    pub async fn release(&self) {
        let Some(revision) = self.revision.lock().await.take() else { return };
        let removed = async {
            let bucket = self.context.get_key_value(BUCKET).await?;
            Ok::<_, Fault>(bucket.purge_expect_revision(&self.key, Some(revision)).await?)
        };
        if let Err(fault) = removed.await {
            let error: &(dyn Error + 'static) = fault.as_ref();
            debug!(error, "the lead was not given away, and expires");
        }
    }

    /// None if the server does not tell.
    async fn holds(&self) -> Option<bool> {
        let held = self.hold().await;
        held.inspect_err(|error| {
            warn!(error = error as &dyn Error, "it is not known which process leads");
        })
        .ok()
    }

    /// Makes the entry or renews it. None if it is another process's.
    async fn entry(&self, revision: Option<u64>) -> Result<Option<u64>, Fault> {
        let bucket = self.context.get_key_value(BUCKET).await?;
        let value = self.holder.clone().into();
        let Some(revision) = revision else {
            return match bucket.create(&self.key, value).await {
                Ok(revision) => Ok(Some(revision)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {
                    self.own_revision(&bucket).await
                }
                Err(error) => Err(error.into()),
            };
        };
        match bucket.update(&self.key, value, revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                self.own_revision(&bucket).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the revision of the entry if it is ours all the same: an answer of the server may have
    /// been lost.
    async fn own_revision(&self, bucket: &Store) -> Result<Option<u64>, Fault> {
        let entry = bucket.entry(&self.key).await?;
        let ours = entry.filter(|entry| entry.value == self.holder.as_bytes());
        Ok(ours.map(|entry| entry.revision))
    }
}
