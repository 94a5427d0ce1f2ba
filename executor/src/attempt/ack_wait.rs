//! How long the queue waits for a sign of life, as far as this executor knows. The provisioner sets
//! it, and may change it at any time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// The shortest that a queue may have: what is assumed until the queue was looked at, since a
/// heartbeat that comes too soon does no harm.
pub const ACK_WAIT_MIN: Duration = Duration::from_secs(3);
/// Heartbeats within one ack wait, so that a lost one does not give the submission away.
const HEARTBEATS_PER_WAIT: u32 = 3;

/// The ack wait that is in force at one queue; clones share it.
#[derive(Clone, Debug)]
pub struct AckWait(watch::Sender<Duration>);

impl AckWait {
    /// Begins with what is assumed of the queue.
    pub fn new(wait: Duration) -> Self {
        Self(watch::Sender::new(wait))
    }

    /// Notes what is in force now.
    pub fn set(&self, wait: Duration) {
        self.0.send_if_modified(|known| std::mem::replace(known, wait) != wait);
    }

    pub(super) fn get(&self) -> Duration {
        *self.0.borrow()
    }

    /// Waits until the next heartbeat is due.
    pub(super) async fn until_heartbeat(&self) {
        let mut changes = self.0.subscribe();
        tokio::select! {
            () = sleep(self.get() / HEARTBEATS_PER_WAIT) => {}
            // At once, since under a shorter wait the next heartbeat may be overdue already.
            _ = changes.changed() => {}
        }
    }
}
