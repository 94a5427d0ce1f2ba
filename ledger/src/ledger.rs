//! The value through which every read and every write of events goes. What it can do stands in
//! `execute`, `read` and `follow`.

use std::sync::Arc;
use std::time::Duration;

use events::Clock;

use crate::store::EventStore;

/// How long an unknown answer is retried before the caller is told that it is unknown.
const DEADLINE: Duration = Duration::from_secs(10);

/// The ledger: every read and every write of events goes through it.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) store: Arc<dyn EventStore>,
    /// For the times inside events. Views take theirs from the stream, never from here.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deadline: Duration,
}

impl Ledger {
    /// Wraps a store.
    pub fn new(store: Arc<dyn EventStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, deadline: DEADLINE }
    }

    /// Sets how long unknown answers are retried.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }
}
