//! Requests that wait for a submission to change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::SubmissionId;
use tokio::sync::watch;

/// The most requests that wait at once.
// A bound, since each of them holds a connection, and all of them read the ledger when the feed
// begins anew. Further requests are answered as if they had not asked to wait.
const WAITERS_MAX: usize = 4_096;

/// Every request that waits.
#[derive(Debug, Default)]
pub struct Waiters {
    by_id: Mutex<HashMap<SubmissionId, watch::Sender<()>>>,
    is_fed: AtomicBool,
    heard: AtomicU64,
}

/// A request that waits; it leaves when it is dropped.
#[derive(Debug)]
pub struct Waiter {
    waiters: Arc<Waiters>,
    id: SubmissionId,
    changed: watch::Receiver<()>,
}

impl Waiters {
    /// Begins to wait. What changes from now on wakes the waiter, even before it sleeps.
    pub fn wait_for(self: &Arc<Self>, id: SubmissionId) -> Option<Waiter> {
        let mut by_id = self.lock();
        // Counted and added under one lock, so that requests that come together cannot pass the
        // bound.
        let waiting: usize = by_id.values().map(watch::Sender::receiver_count).sum();
        if waiting >= WAITERS_MAX {
            return None;
        }
        let changed = by_id.entry(id).or_insert_with(|| watch::Sender::new(())).subscribe();
        drop(by_id);
        Some(Waiter { waiters: Arc::clone(self), id, changed })
    }

    /// Wakes the requests that wait for `id`.
    pub fn wake(&self, id: SubmissionId) {
        if let Some(sender) = self.lock().get(&id) {
            sender.send_replace(());
        }
    }

    /// Notes that the events up to `sequence` are about to wake their waiters.
    pub fn hear(&self, sequence: u64) {
        // A request enters the map and then reads `heard`. The feed sets `heard` and then looks
        // into the map. One of the two sees the other, whichever comes first.
        self.heard.fetch_max(sequence, Ordering::SeqCst);
    }

    /// Returns the last sequence that was heard. A request that has begun to wait is woken by every
    /// later event, and must have seen all events up to this one.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// Wakes every request: changes may have been missed.
    pub fn wake_all(&self) {
        for sender in self.lock().values() {
            sender.send_replace(());
        }
    }

    /// Tells whether a feed announces changes at the moment.
    pub fn is_fed(&self) -> bool {
        // Relaxed: it only sets how often a request looks for itself, and an old value delays one
        // look.
        self.is_fed.load(Ordering::Relaxed)
    }

    /// Sets whether a feed announces changes.
    pub fn set_fed(&self, is_fed: bool) {
        self.is_fed.store(is_fed, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SubmissionId, watch::Sender<()>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// Tells whether a feed announces changes at the moment.
    pub(crate) fn is_fed(&self) -> bool {
        self.waiters.is_fed()
    }

    /// Returns when the submission has changed since the last call.
    pub async fn changed(&mut self) {
        // The sender lives as long as any request waits for the submission.
        if self.changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut by_id = self.waiters.lock();
        // Our own receiver is dropped after this, so it is still in the count.
        if by_id.get(&self.id).is_some_and(|sender| sender.receiver_count() <= 1) {
            by_id.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn id(number: u128) -> SubmissionId {
        SubmissionId::new(uuid::Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn a_change_before_the_sleep_still_wakes() {
        let waiters = Arc::new(Waiters::default());
        let mut waiter = waiters.wait_for(id(1)).unwrap();
        waiters.wake(id(1));
        waiter.changed().await;
        assert!(waiter.changed().now_or_never().is_none(), "one change wakes once");
    }

    #[tokio::test]
    async fn only_those_concerned_are_woken_unless_changes_were_missed() {
        let waiters = Arc::new(Waiters::default());
        let (mut one, mut two) =
            (waiters.wait_for(id(1)).unwrap(), waiters.wait_for(id(2)).unwrap());
        waiters.wake(id(2));
        assert!(one.changed().now_or_never().is_none());
        assert!(two.changed().now_or_never().is_some());
        waiters.wake_all();
        assert!(one.changed().now_or_never().is_some() && two.changed().now_or_never().is_some());
    }

    #[test]
    fn nothing_is_left_of_those_who_have_gone() {
        let waiters = Arc::new(Waiters::default());
        let (first, second) = (waiters.wait_for(id(1)), waiters.wait_for(id(1)));
        drop(first);
        assert_eq!(waiters.lock().len(), 1);
        drop(second);
        assert_eq!(waiters.lock().len(), 0);
    }

    #[test]
    fn so_many_may_wait_and_no_more() {
        let waiters = Arc::new(Waiters::default());
        let mut waiting: Vec<_> =
            (0..WAITERS_MAX as u128).map(|n| waiters.wait_for(id(n % 7))).collect();
        assert!(waiting.iter().all(Option::is_some));
        assert!(waiters.wait_for(id(1)).is_none());
        waiting.pop();
        assert!(waiters.wait_for(id(1)).is_some());
    }
}
