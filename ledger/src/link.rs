//! When the connection broke and was made again, for readers that keep something on the server
//! which a restart of the server forgets.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::Event;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the inbox of a user begins with, `_INBOX_<user>`: each user may read below its own only.
pub(crate) const INBOX_PREFIX: &str = "_INBOX_";

/// How often the connection was made, and when it was last made again.
#[derive(Clone, Default)]
pub(crate) struct Link(Arc<LinkState>);

#[derive(Default)]
struct LinkState {
    connections: watch::Sender<u64>,
    reconnected_at: Mutex<Option<Instant>>,
}

impl Link {
    /// Counts how often the connection was made. A change wakes each reader whose consumer or
    /// request a restart of the server forgets.
    pub(crate) fn connections(&self) -> watch::Receiver<u64> {
        self.0.connections.subscribe()
    }

    /// Returns when the connection was last made again, if it ever broke.
    pub(crate) fn reconnected_at(&self) -> Option<Instant> {
        *self.0.reconnected_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the client says of its connection.
    pub(crate) fn note(&self, event: &Event) {
        if let Event::ServerError(refusal) = event {
            // Most likely a permission that `users.conf` lacks: what was refused stays undone, and
            // its requests get no answer.
            tracing::error!(error = refusal as &dyn Error, "NATS refuses what this program does");
            return;
        }
        if *event != Event::Connected {
            tracing::warn!(nats.event = %event, "the NATS connection changed");
            return;
        }
        tracing::info!(nats.event = %event, "the NATS connection changed");
        // The first connection has no past: at the start of a service nothing was lost, and
        // presence need not wait for other executors to come back.
        if *self.0.connections.borrow() > 0 {
            let now = Some(Instant::now());
            *self.0.reconnected_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
        // Counted after the time is set, so that a woken reader never sees an old time.
        self.0.connections.send_modify(|count| *count += 1);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&*self.0.connections.borrow()).finish()
    }
}
