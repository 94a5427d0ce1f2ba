//! Watching over a submission while it runs: signs of life to the queue, and an eye on the ledger
//! for the event that takes the submission away.

use std::convert::Infallible;
use std::time::Duration;

use events::{BootId, State, Subject, Submission};
use ledger::{Ledger, Receipt};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Signs of life within one ack wait.
const HEARTBEATS_PER_WAIT: u32 = 3;

/// Tells the queue, for as long as this runs, that its delivery is being worked on.
pub(super) async fn keep_alive(receipt: &Receipt, ack_wait: Duration) -> Infallible {
    loop {
        sleep(ack_wait / HEARTBEATS_PER_WAIT).await;
        if let Err(error) = receipt.in_progress().await {
            warn!(error = &error as &dyn std::error::Error, "a sign of life was not sent");
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

/// Returns when the attempt may not go on: it was cancelled, or declared lost. Looks when the bell
/// rings, and now and then without it, since a bell may go unheard.
pub(super) async fn until_taken_away(
    ledger: &Ledger,
    watched: Watched<'_>,
    bell: &Notify,
    ack_wait: Duration,
) {
    loop {
        let rung = timeout(ack_wait / HEARTBEATS_PER_WAIT, bell.notified()).await.is_ok();
        match ledger.load_at(watched.subject).await {
            Ok(Some(aggregate)) if watched.is_ours(&aggregate.submission) => {}
            Ok(_) => {
                debug!(rung, "the attempt was taken away");
                return;
            }
            // Whoever cannot read cannot write either: the next append settles it.
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "the ledger was not read");
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
