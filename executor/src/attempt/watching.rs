//! Watching over a submission while it runs: heartbeats to the queue, and a look at the ledger for
//! the event that takes the submission away.

use std::convert::Infallible;
use std::error::Error;

use events::{BootId, State, Subject, Submission};
use ledger::{Acknowledge, Ledger};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::ack_wait::AckWait;

/// Sends heartbeats to the queue for as long as this runs.
pub(super) async fn keep_alive(receipt: &dyn Acknowledge, ack_wait: &AckWait) -> Infallible {
    loop {
        ack_wait.until_heartbeat().await;
        if let Err(error) = receipt.in_progress().await {
            // If the queue takes the submission from us for this, the next append is rejected.
            warn!(error = &error as &dyn Error, "a heartbeat was not sent");
        }
    }
}

/// An attempt that runs here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched<'a> {
    pub(super) subject: &'a Subject,
    pub(super) attempt: u32,
    pub(super) boot: BootId,
}

/// Returns when the attempt may not go on: it was cancelled, or declared lost. Reads the ledger
/// when the bell rings, and with each heartbeat, since the message that rings the bell may be lost.
pub(super) async fn until_taken_away(
    ledger: &Ledger,
    watched: Watched<'_>,
    bell: &Notify,
    ack_wait: &AckWait,
) {
    loop {
        let rung = tokio::select! {
            () = bell.notified() => true,
            () = ack_wait.until_heartbeat() => false,
        };
        match ledger.load_at(watched.subject).await {
            Ok(Some(aggregate)) if watched.is_ours(&aggregate.submission) => {}
            Ok(_) => {
                debug!(rung, "the attempt was taken away");
                return;
            }
            // If the ledger cannot be read, it cannot be written to either, so nothing wrong is
            // recorded. The program goes on: the ledger may be back before it ends.
            Err(error) => {
                debug!(error = &error as &dyn Error, "the ledger was not read");
            }
        }
    }
}

impl Watched<'_> {
    fn is_ours(&self, submission: &Submission) -> bool {
        let running = submission.running_attempt();
        submission.state == State::Running
            && running.is_some_and(|running| {
                (running.number, running.boot_id) == (self.attempt, self.boot)
            })
    }
}
