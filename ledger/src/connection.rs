//! One connection to NATS, and what hangs on it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::{Client, ConnectOptions, ServerAddr};
use events::{Clock, IdSource};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use crate::durability::Durability;
use crate::error::{ConnectError, ProvisionError, ReadError};
use crate::jetstream::objects::{self, JetStreamObjects};
use crate::jetstream::{JetStreamStore, bounded_context};
use crate::leadership::Leadership;
use crate::ledger::Ledger;
use crate::link::{INBOX_PREFIX, Link};
use crate::objects::ObjectStore;
use crate::offers::Offers;
use crate::presence::Presence;
use crate::provision::{StreamSettings, check_durability, check_ledger_is_not_gone, provision};
use crate::queue::Queue;
use crate::store::EventStore;
use crate::sweep::Sweeper;

/// The longest wait between two tries to connect.
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(1);
/// A peer that is gone without a word is noticed after three of these.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a health check and a last flush may take.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// As whom a program connects. The server lets no program in without.
#[derive(Clone, Debug)]
pub struct NatsLogin {
    user: String,
    password: SecretString,
}

impl NatsLogin {
    /// A user of `users.conf`.
    pub fn new(user: &str, password: &SecretString) -> Self {
        Self { user: user.to_owned(), password: password.clone() }
    }
}

/// A connection, shared by all its clones. It is made and kept up in the background.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    context: Context,
    link: Link,
}

impl Connection {
    /// Opens a connection to one of `urls`, separated by commas. The server's lists show `name`.
    ///
    /// Returns at once, whether or not a server is there.
    pub async fn open(urls: &str, login: &NatsLogin, name: &str) -> Result<Self, ConnectError> {
        let link = Link::default();
        let seen = link.clone();
        let NatsLogin { user, password } = login;
        let options = ConnectOptions::new()
            .name(name)
            .user_and_password(user.clone(), password.expose_secret().to_owned())
            .custom_inbox_prefix(format!("{INBOX_PREFIX}{user}"))
            // Services and the server start in any order: a service that gave up here would need a
            // supervisor to start it again.
            .retry_on_initial_connect()
            // The default is a minute, and a cut cable would look like a slow server for so long.
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(reconnect_wait)
            // Noted here and not in a task: the order of the client's events is kept.
            .event_callback(move |event| {
                seen.note(&event);
                std::future::ready(())
            });
        let client = options.connect(addresses(urls)?).await?;
        let context = bounded_context(client.clone());
        Ok(Self { client, context, link })
    }

    /// Makes sure that every stream and bucket exists as it must be, on a server that syncs before
    /// it acknowledges.
    ///
    /// Idempotent, and safe when several programs do it at once. `ids` gives a new ledger its id.
    pub async fn provision(
        &self,
        settings: &StreamSettings,
        ids: &dyn IdSource,
    ) -> Result<(), ProvisionError> {
        provision(&self.context, settings, ids).await
    }

    /// Refuses a ledger that is gone: it is missing, and either `was_there` or the streams are
    /// there that are made after it. [`Self::provision`] would begin a new one.
    pub async fn check_ledger_is_not_gone(&self, was_there: bool) -> Result<(), ProvisionError> {
        check_ledger_is_not_gone(&self.context, was_there).await
    }

    /// Returns what tells whether the servers with these monitoring addresses still sync before
    /// they acknowledge. Every writer keeps asking.
    pub fn durability(&self, monitor_urls: Vec<String>) -> Durability {
        Durability::of(self.link.clone(), monitor_urls)
    }

    /// Refuses servers that acknowledge before they sync, and servers that are too old.
    pub async fn check_durability(&self, monitor_urls: &[String]) -> Result<(), ProvisionError> {
        check_durability(&self.client, monitor_urls).await
    }

    /// Asks the ledger's leader for a sign of life.
    pub async fn ready(&self) -> Result<(), ReadError> {
        // Not the state of the connection: a server without a leader for the stream is connected,
        // and takes no event.
        let answer = timeout(READY_TIMEOUT, self.jetstream().usage()).await;
        answer.unwrap_or_else(|late| Err(late.into())).map_err(ReadError::Unavailable)?;
        Ok(())
    }

    /// Returns the ledger.
    pub fn ledger(&self, clock: Arc<dyn Clock>) -> Ledger {
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
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::new(JetStreamObjects::new(self.context.clone(), objects::FRESH_TIME))
    }

    /// Returns the object buckets, whose objects are written anew after this time.
    #[cfg(feature = "testing")]
    pub fn objects_fresh_for(&self, fresh_time: Duration) -> Arc<dyn ObjectStore> {
        Arc::new(JetStreamObjects::new(self.context.clone(), fresh_time))
    }

    /// Returns what removes objects that no event of the ledger names.
    pub fn sweeper(&self, ledger: Ledger) -> Sweeper {
        Sweeper::new(self.context.clone(), ledger)
    }

    /// Returns what tells which languages executors have.
    pub fn offers(&self) -> Offers {
        Offers::new(self.context.clone(), self.link.clone())
    }

    /// Returns the wish to lead in what `key` names, on behalf of `holder`.
    pub fn leadership(&self, key: String, holder: String) -> Leadership {
        Leadership::new(self.context.clone(), key, holder)
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
    // 2^10 ms is above the longest wait already, and a larger power would overflow.
    let doubled = u32::try_from(tries).unwrap_or(u32::MAX).min(10);
    Duration::from_millis(2_u64.pow(doubled)).min(RECONNECT_WAIT_MAX)
}
