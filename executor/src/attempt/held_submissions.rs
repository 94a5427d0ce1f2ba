//! The submissions that this executor works on: none twice at a time, each with a bell that makes
//! its work look at the ledger.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::SubmissionId;
use metrics::gauge;
use tokio::sync::Notify;

use crate::metrics::SUBMISSIONS_HELD;

/// What this executor holds; clones are the same register.
#[derive(Clone, Debug, Default)]
pub struct HeldSubmissions(Arc<Mutex<HashMap<SubmissionId, Arc<Notify>>>>);

/// The right to work on a submission, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    held: HeldSubmissions,
    id: SubmissionId,
    /// Rings when there is news of the submission in the ledger.
    pub(super) bell: Arc<Notify>,
}

impl HeldSubmissions {
    /// Claims a submission; nothing if it is held already.
    pub(super) fn claim(&self, id: SubmissionId) -> Option<Claim> {
        let bell = Arc::new(Notify::new());
        let mut map = self.lock();
        if map.contains_key(&id) {
            return None;
        }
        map.insert(id, bell.clone());
        drop(map);
        gauge!(SUBMISSIONS_HELD).increment(1.0);
        Some(Claim { held: self.clone(), id, bell })
    }

    /// Tells whether this executor works on a submission.
    pub fn contains(&self, id: SubmissionId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Makes the work on a submission, if there is any here, look at the ledger now.
    pub fn ring(&self, id: SubmissionId) {
        if let Some(bell) = self.lock().get(&id) {
            // Kept if the work does not wait at this moment, so a ring before the wait is heard.
            bell.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SubmissionId, Arc<Notify>>> {
        // A panic of another submission's work must not end this one's.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.held.lock().remove(&self.id);
        gauge!(SUBMISSIONS_HELD).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_submission_is_held_once_and_until_the_claim_is_dropped() {
        let (held, id) = (HeldSubmissions::default(), SubmissionId::new(uuid::Uuid::from_u128(1)));
        let claim = held.claim(id).unwrap();
        assert!(held.contains(id) && held.claim(id).is_none());
        drop(claim);
        assert!(!held.contains(id) && held.claim(id).is_some());
    }

    #[tokio::test]
    async fn a_bell_that_rang_early_is_heard_late() {
        let (held, id) = (HeldSubmissions::default(), SubmissionId::new(uuid::Uuid::from_u128(1)));
        held.ring(id);
        let claim = held.claim(id).unwrap();
        held.ring(id);
        claim.bell.notified().await;
    }
}
