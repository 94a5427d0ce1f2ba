//! The value through which every read and every write of events goes. What it can do stands in `execute`, `read` and
//! `follow`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use events::Timestamp;

use crate::store::EventStore;

/// How long an unknown answer is retried before the caller is told that it is unknown.
const DEADLINE: Duration = Duration::from_secs(10);

/// Tells the local time. Views take their times from stored events, never from here.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The ledger: every read and every write of events goes through it.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) clock: Clock,
    pub(crate) deadline: Duration,
}

impl Ledger {
    /// Wraps a store.
    pub fn new(store: Arc<dyn EventStore>, clock: Clock) -> Self {
        Self { store, clock, deadline: DEADLINE }
    }

    /// Sets how long unknown answers are retried.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("store", &self.store)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
