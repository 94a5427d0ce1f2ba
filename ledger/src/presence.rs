//! What executors tell one another over core NATS: which submissions they still hold, and which
//! ones to stop.
//!
//! Nothing here is durable, and no answer decides alone: the next append to the ledger fences an
//! executor that was wrongly taken for gone.

use std::time::Duration;

use async_nats::{Client, RequestErrorKind, Subscriber};
use bytes::Bytes;
use events::{BootId, Lane, PoolName, Subject, SubmissionId};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::timeout;

use crate::error::PresenceError;
use crate::link::Link;

/// How long a living executor may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// For so long after a broken connection was made again, others may still be on their way back.
const RETURN_TIME: Duration = Duration::from_secs(5);
/// A subject without subscribers: the server itself answers at once that there are none.
const ROUND_TRIP: &str = "runledger.nobody";
const HELD: &str = "yes";
const NOT_HELD: &str = "no";

/// What an executor's life says about a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It lives, and holds it.
    Yes,
    /// It lives, and does not hold it.
    No,
    /// That life is over: its subject has no subscriber.
    Gone,
    /// It does not answer, or may not be back yet after NATS was away: ask again later.
    Silent,
}

/// Asks and answers.
#[derive(Clone, Debug)]
pub struct Presence {
    client: Client,
    link: Link,
}

impl Presence {
    pub(crate) const fn new(client: Client, link: Link) -> Self {
        Self { client, link }
    }

    /// Answers for this life, as long as the returned future runs. Questions are taken from when
    /// this returns.
    pub async fn answer<F>(
        &self,
        boot_id: BootId,
        holds: F,
    ) -> Result<impl Future<Output = ()> + Send + 'static + use<F>, PresenceError>
    where
        F: Fn(SubmissionId) -> bool + Send + Sync + 'static,
    {
        let mut questions = self.subscribe(holds_subject(boot_id)).await?;
        let client = self.client.clone();
        Ok(async move {
            while let Some(question) = questions.next().await {
                let (Some(reply), Some(id)) = (question.reply, submission_id(&question.payload))
                else {
                    // No executor of ours asks like this, and a "no" could end a running attempt.
                    continue;
                };
                let answer = if holds(id) { HELD } else { NOT_HELD };
                if client.publish(reply, answer.into()).await.is_err() {
                    // Only a closed client refuses.
                    break;
                }
            }
        })
    }

    /// Asks a life whether it still holds a submission. For a life that is over the answer comes at
    /// once.
    pub async fn ask(&self, boot_id: BootId, id: SubmissionId) -> Result<Held, PresenceError> {
        let question = self.client.request(holds_subject(boot_id), id.to_string().into());
        match timeout(ANSWER_TIMEOUT, question).await {
            Ok(Ok(answer)) if answer.payload == HELD => Ok(Held::Yes),
            Ok(Ok(_)) => Ok(Held::No),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                // After a break the other executor may reconnect later than we do. "Gone" would
                // take a submission from an executor that is still running it.
                Ok(if self.has_just_returned() { Held::Silent } else { Held::Gone })
            }
            Ok(Err(error)) => Err(PresenceError(error.into())),
            // Not `Gone`: the executor may be loaded, or our own connection may be broken.
            Err(_late) => Ok(Held::Silent),
        }
    }

    /// Tells the executors of a submission's pool to read it now.
    ///
    /// The announcement may be lost: what counts is the request that stands in the ledger.
    pub async fn announce_cancellation(&self, subject: &Subject) -> Result<(), PresenceError> {
        let announcement = cancel_subject(subject.lane, &subject.pool);
        let sent = self.client.publish(announcement, subject.id.to_string().into()).await;
        sent.map_err(|error| PresenceError(error.into()))
    }

    /// Yields the submissions of a pool that are to be stopped, from when this returns.
    pub async fn cancellations(
        &self,
        lane: Lane,
        pool: &PoolName,
    ) -> Result<BoxStream<'static, SubmissionId>, PresenceError> {
        let announcements = self.subscribe(cancel_subject(lane, pool)).await?;
        let ids = announcements.filter_map(|said| std::future::ready(submission_id(&said.payload)));
        Ok(ids.boxed())
    }

    /// Subscribes, and returns when the server knows.
    async fn subscribe(&self, subject: String) -> Result<Subscriber, PresenceError> {
        let subscribed = self.client.subscribe(subject).await;
        let subscriber = subscribed.map_err(|error| PresenceError(error.into()))?;
        // The client only queues a subscription. The server takes a connection's lines in order, so
        // any answer to a later line shows that it has this one.
        match timeout(ANSWER_TIMEOUT, self.client.request(ROUND_TRIP, Bytes::new())).await {
            Ok(Ok(_)) => Ok(subscriber),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(subscriber),
            Ok(Err(error)) => Err(PresenceError(error.into())),
            Err(late) => Err(PresenceError(late.into())),
        }
    }

    fn has_just_returned(&self) -> bool {
        self.link.reconnected_at().is_some_and(|at| at.elapsed() < RETURN_TIME)
    }
}

fn holds_subject(boot_id: BootId) -> String {
    format!("runledger.executor.{boot_id}.holds")
}

fn cancel_subject(lane: Lane, pool: &PoolName) -> String {
    format!("runledger.cancel.{lane}.{pool}")
}

fn submission_id(payload: &[u8]) -> Option<SubmissionId> {
    std::str::from_utf8(payload).ok()?.parse().ok()
}
