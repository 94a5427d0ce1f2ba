//! How long the queue waits for a sign of life, as far as this executor knows. Another executor of
//! the queue may have set another time than this one's.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// Heartbeats within one ack wait, so that a lost one does not give the submission away.
const HEARTBEATS_PER_WAIT: u32 = 3;

/// The ack wait that is in force at one queue; clones share it.
#[derive(Clone, Debug)]
pub struct AckWait(watch::Sender<Duration>);

impl AckWait {
    /// Begins with what this executor sets at the queue.
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
