//! Lost attempts: when the attempt of another executor counts as lost, and the event that says so
//! of any attempt. This executor declares its own attempts lost when their cell dies, and when it
//! hands them back.

use std::time::Duration;

use events::event::{Lost, LostReason};
use events::{BootId, Event, SubmissionId};
use ledger::Held;
use metrics::counter;
use tokio::time::sleep;

use super::running_attempt::{AttemptError, RunningAttempt};
use crate::metrics::ATTEMPTS_LOST;
use crate::peers::Peers;

/// When an executor that does not answer is asked again: it may be on its way back to NATS.
const SILENT_DELAY: Duration = Duration::from_secs(2);
/// How often an executor is asked that does not answer. It has missed its heartbeats already, so
/// after all this time it counts as gone. If it was only stopped, its next append finds the place
/// taken, and it reports nothing.
const SILENT_ASKS_MAX: u32 = 15;

/// Asks the executor that began an attempt whether it still holds the submission. Returns why the
/// attempt is lost, or nothing if the executor still works on it.
pub(super) async fn reason_if_lost(
    peers: &dyn Peers,
    boot: BootId,
    id: SubmissionId,
) -> Option<LostReason> {
    let mut asked = 1;
    loop {
        match peers.ask_holder(boot, id).await {
            Held::Silent if asked < SILENT_ASKS_MAX => sleep(SILENT_DELAY).await,
            Held::Yes => return None,
            Held::No => return Some(LostReason::NotHeld),
            Held::Gone | Held::Silent => return Some(LostReason::ExecutorGone),
        }
        asked += 1;
    }
}

impl RunningAttempt<'_> {
    /// Declares the attempt lost. If the executor that began it still runs it, that executor's next
    /// append is rejected.
    pub(super) async fn declare_lost(&mut self, reason: LostReason) -> Result<(), AttemptError> {
        let observer = self.context.identity.name.clone();
        self.append(&Event::Lost(Lost { attempt: self.number, reason, observer })).await?;
        counter!(ATTEMPTS_LOST, "reason" => reason.as_str()).increment(1);
        Ok(())
    }
}
