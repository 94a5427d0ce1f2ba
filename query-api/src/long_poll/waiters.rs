//! Requests that wait for a submission to change, and what the feed has told of these submissions
//! since. A request that waits reads nothing by itself while it is told everything.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::{Event, Recorded, Submission, SubmissionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Polls that read the ledger at once, because they were not told everything.
// All polls read when the feed begins anew. Each read then waits for a permit of
// `FreshSubmissions`, which are given in order: no more polls than this stand before another
// request there.
const POLLS_READING_MAX: usize = 64;

/// Every request that waits.
#[derive(Debug)]
pub struct Waiters {
    state: Mutex<WaitingRequests>,
    waiting_max: NonZeroUsize,
    is_fed: AtomicBool,
    turns: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct WaitingRequests {
    /// How many requests wait.
    requests: usize,
    by_id: HashMap<SubmissionId, Awaited>,
    /// How often the ledger was found to be another.
    set_backs: u64,
}

/// A submission that requests wait for.
#[derive(Debug)]
struct Awaited {
    requests: usize,
    /// The last event that was told since the first of the requests began, or since a gap.
    told: u64,
    /// The fold of everything that was told; none until a request has read what was before, and
    /// none again after a gap.
    known: Option<Arc<Submission>>,
    /// Wakes the requests. The value is the number of gaps in what was told.
    gaps: watch::Sender<u64>,
}

/// A request that waits; it leaves when it is dropped.
#[derive(Debug)]
pub struct Waiter {
    waiters: Arc<Waiters>,
    id: SubmissionId,
    gaps: watch::Receiver<u64>,
    /// The number of gaps before the last read. What was read before a later one does not suffice.
    read_after: u64,
    /// How often the ledger had been found to be another when the wait began.
    set_backs: u64,
}

impl Waiters {
    /// Lets so many requests wait at once. Further ones are answered as if they had not asked to
    /// wait.
    pub fn new(waiting_max: NonZeroUsize) -> Self {
        let turns = Arc::new(Semaphore::new(POLLS_READING_MAX));
        Self { state: Mutex::default(), waiting_max, is_fed: AtomicBool::default(), turns }
    }

    /// Begins to wait. What is told from now on wakes the waiter, even before it sleeps.
    pub fn wait_for(self: &Arc<Self>, id: SubmissionId) -> Option<Waiter> {
        let mut state = self.state();
        if state.requests >= self.waiting_max.get() {
            return None;
        }
        state.requests += 1;
        let awaited = state.by_id.entry(id).or_insert_with(Awaited::new);
        awaited.requests += 1;
        let gaps = awaited.gaps.subscribe();
        let set_backs = state.set_backs;
        drop(state);
        let read_after = *gaps.borrow();
        Some(Waiter { waiters: Arc::clone(self), id, gaps, read_after, set_backs })
    }

    /// Tells the requests that wait for a submission of its next event. Those are woken for which
    /// the state may be another.
    pub fn tell(&self, id: SubmissionId, recorded: &Recorded) {
        if let Some(awaited) = self.state().by_id.get_mut(&id) {
            awaited.tell(recorded);
        }
    }

    /// Wakes every request to read the ledger: events may have been missed.
    pub fn tell_of_gap(&self) {
        for awaited in self.state().by_id.values_mut() {
            // What is read after the gap has it, whatever was told before.
            (awaited.told, awaited.known) = (0, None);
            awaited.gaps.send_modify(|gaps| *gaps += 1);
        }
    }

    /// Notes that the ledger was set back or replaced: no request goes on with what it knows, once
    /// the gap that follows wakes it.
    pub fn note_set_back(&self) {
        self.state().set_backs += 1;
    }

    /// Tells whether a feed tells of every event at the moment.
    pub fn is_fed(&self) -> bool {
        // Relaxed: it only sets whether a request reads for itself, and an old value delays one
        // read.
        self.is_fed.load(Ordering::Relaxed)
    }

    /// Sets whether a feed tells of every event.
    pub fn set_fed(&self, is_fed: bool) {
        self.is_fed.store(is_fed, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, WaitingRequests> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Awaited {
    fn new() -> Self {
        Self { requests: 0, told: 0, known: None, gaps: watch::Sender::new(0) }
    }

    fn tell(&mut self, recorded: &Recorded) {
        self.told = recorded.sequence;
        // The requests have the fold as it was before, so it is copied if one of them holds it.
        if let Some(known) = self.known.as_mut().filter(|known| known.sequence < recorded.sequence)
        {
            // An illegal event is counted and ignored by the fold, here as everywhere.
            let _illegal = Arc::make_mut(known).fold(recorded);
        }
        if changes_state(&recorded.envelope.event) {
            self.gaps.send_modify(|_same| {});
        }
    }
}

impl Waiter {
    /// Tells whether a feed tells of every event at the moment.
    pub(crate) fn is_fed(&self) -> bool {
        self.waiters.is_fed()
    }

    /// Tells whether the ledger was found to be another since the wait began.
    pub(crate) fn was_set_back(&self) -> bool {
        self.waiters.state().set_backs != self.set_backs
    }

    /// Waits until it is one of the polls that may read the ledger.
    pub(crate) async fn turn_among_polls(&self) -> OwnedSemaphorePermit {
        let turns = Arc::clone(&self.waiters.turns);
        turns.acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Returns when the submission may have another state than at the last call, or when events may
    /// have been missed.
    pub async fn changed(&mut self) {
        // The sender lives as long as any request waits for the submission.
        if self.gaps.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns the number of gaps in what was told.
    pub(crate) fn gaps(&self) -> u64 {
        *self.gaps.borrow()
    }

    /// Notes that the ledger was read after so many gaps.
    pub(crate) fn has_read_after(&mut self, gaps: u64) {
        self.read_after = gaps;
    }

    /// Puts what this request knows beside what was told, and returns the newer of both; none if
    /// neither has every event, and the ledger must be read.
    pub(crate) fn newest(&self, mine: &Arc<Submission>) -> Option<Arc<Submission>> {
        let mut state = self.waiters.state();
        let awaited = state.by_id.get_mut(&self.id)?;
        if self.read_after != *awaited.gaps.borrow() {
            // Another request may have read since the gap, and the feed goes on from there.
            return awaited.known.clone().filter(|known| known.sequence >= mine.sequence);
        }
        let is_newer = |known: &&Arc<Submission>| known.sequence >= mine.sequence;
        let newest = Arc::clone(awaited.known.as_ref().filter(is_newer).unwrap_or(mine));
        // An event that was told while the first of the requests was reading is in neither.
        if newest.sequence < awaited.told {
            return None;
        }
        awaited.known = Some(Arc::clone(&newest));
        Some(newest)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.waiters.state();
        state.requests -= 1;
        if let Entry::Occupied(mut awaited) = state.by_id.entry(self.id) {
            awaited.get_mut().requests -= 1;
            if awaited.get().requests == 0 {
                awaited.remove();
            }
        }
    }
}

/// Tells whether a submission's state may be another after the event. Lesser changes wake no
/// request.
fn changes_state(event: &Event) -> bool {
    match event {
        Event::Accepted(_)
        | Event::Started(_)
        | Event::CancellationRequested(_)
        | Event::Completed(_)
        | Event::Failed(_)
        | Event::Cancelled(_) => true,
        Event::Compiled(_) | Event::Judged(_) | Event::Lost(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn id(number: u128) -> SubmissionId {
        SubmissionId::new(uuid::Uuid::from_u128(number))
    }

    fn waiters(waiting_max: usize) -> Arc<Waiters> {
        Arc::new(Waiters::new(NonZeroUsize::new(waiting_max).unwrap()))
    }

    #[test]
    fn a_gap_before_the_sleep_still_wakes_and_wakes_once() {
        let waiters = waiters(9);
        let mut waiter = waiters.wait_for(id(1)).unwrap();
        waiters.tell_of_gap();
        assert!(waiter.changed().now_or_never().is_some());
        assert!(waiter.changed().now_or_never().is_none(), "one change wakes once");
    }

    #[test]
    fn nothing_is_left_of_those_who_have_gone() {
        let waiters = waiters(9);
        let (first, second) = (waiters.wait_for(id(1)), waiters.wait_for(id(1)));
        drop(first);
        assert_eq!(waiters.state().by_id.len(), 1);
        drop(second);
        let state = waiters.state();
        assert_eq!((state.by_id.len(), state.requests), (0, 0));
    }

    #[test]
    fn so_many_may_wait_and_no_more() {
        let waiters = waiters(100);
        let mut waiting: Vec<_> = (0..100).map(|n| waiters.wait_for(id(n % 7))).collect();
        assert!(waiting.iter().all(Option::is_some));
        assert!(waiters.wait_for(id(1)).is_none());
        waiting.pop();
        assert!(waiters.wait_for(id(1)).is_some());
    }
}
