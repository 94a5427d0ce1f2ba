//! The seam to other executors: which of them still holds a submission. Tests have peers that say
//! what they are told to.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use events::{BootId, SubmissionId};
use ledger::{Held, Presence};
use tracing::warn;

/// Asks other executors.
#[async_trait]
pub trait Peers: fmt::Debug + Send + Sync {
    /// Asks the executor of a boot id whether it still holds a submission.
    async fn ask_holder(&self, boot: BootId, id: SubmissionId) -> Held;
}

#[async_trait]
impl Peers for Presence {
    async fn ask_holder(&self, boot: BootId, id: SubmissionId) -> Held {
        match self.ask(boot, id).await {
            Ok(held) => held,
            Err(error) => {
                // A question that was not sent says nothing about the executor that it was for.
                warn!(error = &error as &dyn Error, "an executor could not be asked");
                Held::Silent
            }
        }
    }
}
