//! Settling submissions that the queue has delivered: one piece of work each, with signs of life until it is answered.

use std::sync::Arc;
use std::time::Duration;

use events::envelope::Writer;
use events::{BootId, ExecutorName};
use ledger::{Job, Ledger, Receipt};
use sandbox::languages::Catalog;
use tokio_util::sync::CancellationToken;
use tracing::{instrument, warn};

use super::held::Held;
use super::watching::keep_alive;
use super::work::{End, Work};
use crate::runner::{Blobs, Peers, Runner};

/// Who this executor is, in events.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub name: ExecutorName,
    /// Its life.
    pub boot: BootId,
    /// The release of the kernel that cells run on.
    pub kernel: String,
    /// The processor's model.
    pub cpu_model: String,
}

/// What bounds an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Attempts that a submission gets.
    pub attempts_max: u32,
    /// How long the queue waits for a sign of life.
    pub ack_wait: Duration,
}

/// Settles submissions.
#[derive(Clone, Debug)]
pub struct Attempts {
    /// Where events go.
    pub ledger: Ledger,
    /// Where objects lie.
    pub blobs: Arc<dyn Blobs>,
    /// Other executors.
    pub peers: Arc<dyn Peers>,
    /// The languages.
    pub catalog: Arc<Catalog>,
    /// Who we are.
    pub identity: Identity,
    /// Bounds.
    pub settings: Settings,
    /// What is being settled now.
    pub held: Held,
    /// When this is cancelled, what is not settled yet is handed back.
    pub hand_back: CancellationToken,
}

impl Attempts {
    /// Settles one delivered submission, and answers the queue.
    #[instrument(name = "submission", skip_all, fields(submission.id = %job.aggregate.id(), delivered = job.delivered))]
    pub async fn settle(&self, job: Job, runner: &dyn Runner) {
        // Our own redelivery: the receipt that we hold is as good.
        let Some(claim) = self.held.claim(job.aggregate.id()) else { return };
        let writer = self.writer(job.recorded.envelope.traceparent.clone());
        let work = self.work(&writer, runner);
        let (receipt, fresh) = (job.receipt.clone(), job.fresh());
        let mut aggregate = job.aggregate;
        let settling = async {
            let settled = tokio::select! {
                end = work.settle(&mut aggregate, fresh, &claim) => Some(end),
                () = self.hand_back.cancelled() => None,
            };
            match settled {
                Some(end) => end,
                None => work.hand_back(&mut aggregate).await,
            }
        };
        let end = tokio::select! {
            end = settling => end,
            never = keep_alive(&receipt, self.settings.ack_wait) => match never {},
        };
        answer(&receipt, end).await;
    }

    fn work<'a>(&'a self, writer: &'a Writer, runner: &'a dyn Runner) -> Work<'a> {
        Work {
            ledger: &self.ledger,
            blobs: self.blobs.as_ref(),
            peers: self.peers.as_ref(),
            catalog: &self.catalog,
            identity: &self.identity,
            settings: self.settings,
            writer,
            runner,
        }
    }

    fn writer(&self, traceparent: Option<String>) -> Writer {
        let Identity { name, boot, kernel: _, cpu_model: _ } = &self.identity;
        Writer {
            source: format!("/executor/{name}"),
            actor: format!("executor:{name}"),
            instance: *boot,
            traceparent,
        }
    }
}

/// Only after what it says stands in the ledger. An answer that is lost leads to a redelivery, which finds nothing to do.
async fn answer(receipt: &Receipt, end: End) {
    let answered = match end {
        End::Acknowledge => receipt.ack().await,
        End::Later(delay) => receipt.nak(delay).await,
    };
    if let Err(error) = answered {
        warn!(error = &error as &dyn std::error::Error, "the queue was not answered");
    }
}
