//! One connection to NATS, and what hangs on it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::Context;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::jetstream::{JetStreamStore, bounded_context};
use crate::objects::Objects;
use crate::presence::Presence;
use crate::provision::{ProvisionError, StreamSettings, provision};
use crate::queue::Queue;
use crate::read::ReadError;
use crate::store::EventStore;
use crate::{Clock, Ledger};

/// The longest wait between two tries to connect.
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(1);
/// A peer that is gone without a word is noticed after three of these.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a health check and a last flush may take.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// The URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is not a list of NATS URLs.
    #[error("{url:?} is no NATS URL")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The client refuses the options.
    #[error("cannot connect to NATS")]
    Connect(#[from] async_nats::ConnectError),
}

/// A connection, shared by all its clones. It is made and kept up in the background.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    context: Context,
    link: Link,
}

impl Connection {
    /// Opens a connection to one of `urls`, separated by commas. `name` is what the server's lists show.
    ///
    /// Returns at once, whether or not a server is there.
    pub async fn open(urls: &str, name: &str) -> Result<Self, ConnectError> {
        let link = Link::default();
        let seen = link.clone();
        let options = ConnectOptions::new()
            .name(name)
            .retry_on_initial_connect()
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(reconnect_wait)
            .event_callback(move |event| {
                seen.note(&event);
                std::future::ready(())
            });
        let client = options.connect(addresses(urls)?).await?;
        let context = bounded_context(client.clone());
        Ok(Self { client, context, link })
    }

    /// Makes sure that every stream and bucket exists as it must be, on a server that syncs before it acknowledges.
    ///
    /// Idempotent, and safe when several services do it at once.
    pub async fn provision(&self, settings: &StreamSettings) -> Result<(), ProvisionError> {
        provision(&self.context, settings).await
    }

    /// Tells whether there is a connection now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Asks the ledger's leader for a sign of life.
    pub async fn ready(&self) -> Result<(), ReadError> {
        let answer = timeout(READY_TIMEOUT, self.jetstream().usage()).await;
        answer.unwrap_or_else(|late| Err(late.into())).map_err(ReadError::Unavailable)?;
        Ok(())
    }

    /// Returns the ledger.
    pub fn ledger(&self, clock: Clock) -> Ledger {
        Ledger::new(self.store(), clock)
    }

    /// Returns what lies under the ledger.
    pub fn store(&self) -> Arc<dyn EventStore> {
        Arc::new(self.jetstream())
    }

    /// Returns the queue of accepted submissions.
    pub fn queue(&self) -> Queue {
        Queue::new(self.context.clone(), self.link.clone())
    }

    /// Returns the object buckets.
    pub fn objects(&self) -> Objects {
        Objects::new(self.context.clone())
    }

    /// Returns what tells executors about one another.
    pub fn presence(&self) -> Presence {
        Presence::new(self.client.clone(), self.link.clone())
    }

    /// Sends what is still in the client's buffers. The last thing to do at shutdown.
    pub async fn close(&self) {
        if !matches!(timeout(READY_TIMEOUT, self.client.flush()).await, Ok(Ok(()))) {
            tracing::warn!("the last messages to NATS could not be flushed");
        }
    }

    fn jetstream(&self) -> JetStreamStore {
        JetStreamStore::new(self.context.clone(), self.link.clone())
    }
}

fn addresses(urls: &str) -> Result<Vec<ServerAddr>, ConnectError> {
    urls.split(',')
        .map(|url| {
            let url = url.trim();
            url.parse().map_err(|source| ConnectError::Url { url: url.to_owned(), source })
        })
        .collect()
}

fn reconnect_wait(tries: usize) -> Duration {
    let doubled = u32::try_from(tries).unwrap_or(u32::MAX).min(10);
    Duration::from_millis(2_u64.pow(doubled)).min(RECONNECT_WAIT_MAX)
}

/// What is known of the connection's ups and downs.
#[derive(Clone, Default)]
pub(crate) struct Link(Arc<LinkState>);

#[derive(Default)]
struct LinkState {
    connections: watch::Sender<u64>,
    reconnected_at: Mutex<Option<Instant>>,
}

impl Link {
    /// Counts how often the connection was made; changes wake whoever holds something that a restart forgets.
    pub(crate) fn connections(&self) -> watch::Receiver<u64> {
        self.0.connections.subscribe()
    }

    /// Returns when the connection was last made again, if it ever broke.
    pub(crate) fn reconnected_at(&self) -> Option<Instant> {
        *self.0.reconnected_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: &Event) {
        if *event != Event::Connected {
            tracing::warn!(nats.event = %event, "the NATS connection changed");
            return;
        }
        tracing::info!(nats.event = %event, "the NATS connection changed");
        if *self.0.connections.borrow() > 0 {
            let now = Some(Instant::now());
            *self.0.reconnected_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
        self.0.connections.send_modify(|count| *count += 1);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&*self.0.connections.borrow()).finish()
    }
}
