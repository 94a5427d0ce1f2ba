//! The event store: streams on JetStream, append with optimistic concurrency, read, follow, verify.
//!
//! The only home of `async-nats`. Knows no HTTP, no Docker and no view.

mod aggregate;
mod append;
mod backoff;
mod connection;
mod execute;
mod follow;
mod jetstream;
pub mod memory;
mod metrics;
mod monitor;
mod objects;
mod presence;
mod provision;
mod queue;
mod read;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use events::Timestamp;

pub use aggregate::{Aggregate, Stored};
pub use connection::{ConnectError, Connection};
pub use execute::{Accepting, ExecuteError, Unavailable};
pub use follow::FollowError;
pub use metrics::describe_metrics;
pub use objects::{ObjectError, Objects};
pub use presence::{Held, Presence, PresenceError};
pub use provision::{ProvisionError, StreamSettings};
pub use queue::{Acknowledge, Backlog, Job, Queue, QueueError, Receipt, Worker};
pub use read::ReadError;
pub use store::{EventStore, Usage};

/// How long an unknown answer is retried before the caller is told that it is unknown.
const DEADLINE: Duration = Duration::from_secs(10);

/// Tells the local time. Views take their times from stored events, never from here.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The ledger: every read and every write of events goes through it.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn EventStore>,
    clock: Clock,
    deadline: Duration,
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
