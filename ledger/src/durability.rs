//! Whether the servers still sync before they acknowledge: asked again after each break of the
//! connection, since a server may have come back with another configuration.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use crate::error::ProvisionError;
use crate::link::Link;
use crate::metrics;
use crate::provision::durability;

/// How often the servers are asked while the connection holds: a writer is connected to one of
/// several, and the others restart unseen.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// How long the servers may say nothing after the connection was made, before that counts as a no: a
/// server that was started by hand often has neither the setting nor a monitoring address.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// What the servers said last. Clones share it.
#[derive(Clone, Debug)]
pub struct Durability {
    monitor_urls: Vec<String>,
    link: Link,
    /// Why what they acknowledge is not durable, if it is not.
    fault: watch::Sender<Option<String>>,
}

impl Durability {
    /// Counts the servers as durable until they were asked.
    pub(crate) fn of(link: Link, monitor_urls: Vec<String>) -> Self {
        Self { monitor_urls, link, fault: watch::Sender::new(None) }
    }

    /// Says what the servers said last: that what they acknowledge stays, or why not.
    pub fn check(&self) -> Result<(), String> {
        self.fault.borrow().clone().map_or(Ok(()), Err)
    }

    /// Asks whenever the connection was made, and regularly.
    pub async fn keep_asking(&self) -> Infallible {
        let mut connections = self.link.connections();
        // Since when this connection stands and no answer has come.
        let mut silent_since = Some(Instant::now());
        loop {
            connections.mark_unchanged();
            match self.ask().await {
                Ok(()) => silent_since = None,
                Err(unknown) if silent_since.is_some_and(|at| at.elapsed() >= SILENCE_MAX) => {
                    self.note(Some(unknown.to_string()));
                }
                Err(unknown) => {
                    let error: &(dyn Error + 'static) = &unknown;
                    warn!(error, "it is not known whether NATS syncs before it acknowledges");
                }
            }
            // At once after a reconnect. That the time has passed is no fault.
            if let Ok(Ok(())) = timeout(ASK_EVERY, connections.changed()).await {
                silent_since = Some(Instant::now());
            }
        }
    }

    /// Notes what the servers say. An error says that nothing is known: then the last answer stands,
    /// or the door would close whenever monitoring is away.
    async fn ask(&self) -> Result<(), ProvisionError> {
        match durability::check(&self.monitor_urls).await {
            Ok(()) => self.note(None),
            Err(unknown @ ProvisionError::Monitor { .. }) => return Err(unknown),
            Err(refusal) => self.note(Some(refusal.to_string())),
        }
        Ok(())
    }

    fn note(&self, fault: Option<String>) {
        metrics::durable(fault.is_none());
        let before = self.fault.send_replace(fault.clone());
        match (before, fault) {
            (None, Some(fault)) => error!(fault, "what NATS acknowledges is not durable"),
            (Some(_), None) => info!("what NATS acknowledges is durable again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}

#[cfg(feature = "testing")]
impl Durability {
    /// What the servers say is what [`Durability::say`] says: for tests without servers.
    pub fn told() -> Self {
        Self::of(Link::default(), Vec::new())
    }

    /// Lets the servers say this.
    pub fn say(&self, fault: Option<&str>) {
        self.note(fault.map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of servers whose monitoring is away.
    fn unanswered() -> Durability {
        Durability::of(Link::default(), vec!["http://127.0.0.1:1".to_owned()])
    }

    #[tokio::test(start_paused = true)]
    async fn while_nothing_answers_the_last_answer_stands() {
        let durability = unanswered();
        for fault in [Some("a server syncs later".to_owned()), None] {
            durability.note(fault.clone());
            durability.ask().await.unwrap_err();
            assert_eq!(durability.check().err(), fault);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_after_the_connection_was_made_counts_as_a_no_in_time() {
        let durability = unanswered();
        timeout(SILENCE_MAX / 2, durability.keep_asking()).await.unwrap_err();
        durability.check().unwrap();
        timeout(2 * SILENCE_MAX, durability.keep_asking()).await.unwrap_err();
        durability.check().unwrap_err();
    }
}
