//! A submission as the queue delivers it: claimed, kept from other executors by heartbeats while it
//! is worked on, and acknowledged at its end.

use std::error::Error;

use ledger::{Acknowledge, Job};
use tokio_util::sync::CancellationToken;
use tracing::{instrument, warn};

use super::ack_wait::AckWait;
use super::context::ExecutorContext;
use super::held_submissions::HeldSubmissions;
use super::submission_work::{QueueAnswer, SubmissionWork};
use super::watching::keep_alive;
use crate::cells::source::CellSource;

/// Works on what the queue delivers; clones share the register of what they hold, and so do the
/// handlers of other queues.
#[derive(Clone, Debug)]
pub struct DeliveryHandler {
    /// What every submission is worked on with.
    pub context: ExecutorContext,
    /// How often the queue must hear of what is being worked on.
    pub ack_wait: AckWait,
    /// What is being worked on now.
    pub held: HeldSubmissions,
    /// When this is cancelled, what has not ended yet is handed back.
    pub hand_back: CancellationToken,
}

impl DeliveryHandler {
    /// Brings one delivered submission to its end, and answers the queue.
    #[instrument(name = "submission", skip_all, fields(submission.id = %job.aggregate.id(), delivered = job.delivered))]
    pub async fn handle_delivery(&self, job: Job, cells: &mut dyn CellSource) {
        // Redelivered while this executor still works on it: the first delivery will be answered
        // for.
        let Some(claim) = self.held.claim(job.aggregate.id()) else { return };
        let writer = self.context.identity.writer(job.traceparent.clone());
        let (receipt, is_new) = (job.receipt.clone(), job.is_new(self.context.clock.now()));
        let mut work = SubmissionWork {
            context: &self.context,
            writer: &writer,
            claim: &claim,
            ack_wait: &self.ack_wait,
            cells,
            aggregate: job.aggregate,
            delivered: job.delivered,
        };
        let working = async {
            let answer = tokio::select! {
                answer = work.bring_to_end(is_new) => Some(answer),
                () = self.hand_back.cancelled() => None,
            };
            match answer {
                Some(answer) => answer,
                None => work.hand_back().await,
            }
        };
        // Until the answer is known, also while the submission is handed back: the queue must not
        // deliver it to another executor before its attempt is declared lost.
        let answer = tokio::select! {
            answer = working => answer,
            never = keep_alive(receipt.as_ref(), &self.ack_wait) => match never {},
        };
        // Before the answer: what is delivered again at once must not meet this claim.
        drop(work);
        drop(claim);
        acknowledge_or_retry(receipt.as_ref(), answer).await;
    }
}

/// Answers the queue. The ledger MUST hold the submission's end before an acknowledgement: what is
/// acknowledged is never delivered again.
async fn acknowledge_or_retry(receipt: &dyn Acknowledge, answer: QueueAnswer) {
    let answered = match answer {
        QueueAnswer::Acknowledge => receipt.ack().await,
        QueueAnswer::RetryAfter(delay) => receipt.nak(delay).await,
    };
    if let Err(error) = answered {
        // The queue delivers again, and the next executor finds the end in the ledger.
        warn!(error = &error as &dyn Error, "the queue was not answered");
    }
}
