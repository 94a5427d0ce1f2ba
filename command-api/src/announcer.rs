//! The seam through which executors hear of a cancellation, so that the router can be tested in one
//! process.

use std::fmt;

use async_trait::async_trait;
use events::Subject;
use ledger::{Fault, Presence};

/// Tells executors of cancellations.
#[async_trait]
pub trait CancellationAnnouncer: fmt::Debug + Send + Sync {
    /// Tells the executors to look at a submission whose cancellation was requested.
    async fn announce_cancellation(&self, subject: &Subject) -> Result<(), Fault>;
}

#[async_trait]
impl CancellationAnnouncer for Presence {
    async fn announce_cancellation(&self, subject: &Subject) -> Result<(), Fault> {
        Ok(self.announce_cancellation(subject).await?)
    }
}
