//! One pull request at a time on a lasting inbox. Knows deliveries, not jobs.
//!
//! A request is one-shot (`no_wait` with `expires`): the server holds it until there is something,
//! sends what is there at once, and says when it is over. So nothing waits on the server for a
//! reader that has gone, and what a dropped reader left behind is found by the next one, in the
//! same inbox.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::{Client, Message, StatusCode, Subscriber};
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::error::Fault;
use crate::link::Link;

/// The most that lies between two heartbeats of a waiting request.
const HEARTBEAT_MAX: Duration = Duration::from_secs(5);
/// How late a heartbeat or an end may be.
const GRACE: Duration = Duration::from_secs(1);
/// The least time that a request waits.
pub(super) const EXPIRES_MIN: Duration = Duration::from_secs(1);

/// What came of waiting.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A delivery, to be acknowledged.
    Delivery(Message),
    /// The request is over.
    Over,
    /// The request is over, and the consumer may be, too.
    Broken(Fault),
    /// The request is over with its connection, which a delivery may have broken.
    Reconnected,
}

/// The inbox, and the request that is under way.
#[derive(Debug)]
pub(super) struct Pull {
    inbox: String,
    subscriber: Subscriber,
    connections: watch::Receiver<u64>,
    requests: u64,
    waiting: Option<Waiting>,
}

/// A request that the server has not ended.
#[derive(Debug)]
struct Waiting {
    inbox: String,
    /// Deliveries still to come before it ends by itself.
    remaining: usize,
    heartbeat: Duration,
    /// When the server last spoke.
    heard: Instant,
}

impl Pull {
    pub(super) async fn open(client: &Client, link: &Link) -> Result<Self, Fault> {
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(format!("{inbox}.*")).await?;
        let connections = link.connections();
        Ok(Self { inbox, subscriber, connections, requests: 0, waiting: None })
    }

    /// Asks for up to `max` deliveries, unless a request is under way. Without `expires` the
    /// request ends at once if there is nothing.
    pub(super) async fn request(
        &mut self,
        consumer: &PullConsumer,
        max: usize,
        expires: Option<Duration>,
    ) -> Result<(), Fault> {
        if self.waiting.is_some() {
            return Ok(());
        }
        // Before the request is sent: a connection that breaks meanwhile may have taken it along.
        self.connections.mark_unchanged();
        self.requests += 1;
        // A subject for each request, so that a late status of an old one does not end this one.
        let inbox = format!("{}.{}", self.inbox, self.requests);
        // The server refuses a heartbeat of more than half of the time that the request lives.
        let heartbeat = HEARTBEAT_MAX.min(expires.unwrap_or_default() / 2);
        let request = BatchConfig {
            batch: max,
            expires,
            no_wait: true,
            idle_heartbeat: heartbeat,
            ..BatchConfig::default()
        };
        consumer.request_batch(request, inbox.clone().into()).await?;
        let heard = Instant::now();
        self.waiting = Some(Waiting { inbox, remaining: max, heartbeat, heard });
        Ok(())
    }

    /// Tells whether the server has a request of ours.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Waits for the next delivery or for the end of the request. Nothing is lost when the wait is
    /// given up.
    pub(super) async fn next(&mut self) -> Arrival {
        loop {
            let Some(waiting) = &mut self.waiting else {
                return Arrival::Over;
            };
            // One heartbeat may get lost without the request being over.
            let late = waiting.heard + 2 * waiting.heartbeat + GRACE;
            let message = tokio::select! {
                // Deliveries in the inbox are taken before the request is given up.
                biased;
                message = self.subscriber.next() => message,
                // A server that restarted has forgotten the request, and without this only the
                // missing heartbeats would show it.
                _ = self.connections.changed() => {
                    self.waiting = None;
                    return Arrival::Reconnected;
                }
                () = sleep_until(late) => return self.over(),
            };
            waiting.heard = Instant::now();
            let Some(message) = message else {
                return self.broken("the connection is closed".into());
            };
            if let Some(arrival) = self.read(message) {
                return arrival;
            }
        }
    }

    /// Stops asking, and gives back what was on its way.
    pub(super) async fn close(mut self) -> Vec<Message> {
        if self.waiting.is_none() || self.subscriber.drain().await.is_err() {
            return Vec::new();
        }
        let inbox = self.inbox;
        let left = self
            .subscriber
            .filter(|message| std::future::ready(!message.subject.starts_with(&inbox)));
        // A drain ends when the server has confirmed it, which a server that is away never does.
        left.take_until(tokio::time::sleep(GRACE)).collect().await
    }

    fn read(&mut self, message: Message) -> Option<Arrival> {
        let waiting = self.waiting.as_mut()?;
        // A delivery has the subject of its message, and a status in it is its writer's.
        let said = message.status.filter(|_| message.subject.starts_with(&self.inbox));
        let Some(status) = said else {
            waiting.remaining = waiting.remaining.saturating_sub(1);
            // The server sends no status when the last delivery ends the request.
            if waiting.remaining == 0 {
                self.waiting = None;
            }
            return Some(Arrival::Delivery(message));
        };
        // A status of an earlier request, which was taken for lost.
        if message.subject.as_str() != waiting.inbox {
            return None;
        }
        match status {
            StatusCode::IDLE_HEARTBEAT => None,
            StatusCode::NOT_FOUND | StatusCode::TIMEOUT => Some(self.over()),
            other => {
                let text = message.description.unwrap_or_default();
                Some(self.broken(format!("the server ends the request: {other} {text}")))
            }
        }
    }

    fn over(&mut self) -> Arrival {
        self.waiting = None;
        Arrival::Over
    }

    fn broken(&mut self, why: String) -> Arrival {
        self.waiting = None;
        Arrival::Broken(why.into())
    }
}
