//! The ledger as queues: a durable consumer for each. Knows no Docker and runs nothing.

mod consumer;
pub(crate) mod floors;
mod job;
mod pull;
mod undeliverable;
mod worker;

use std::time::Duration;

use async_nats::jetstream::context::{ConsumerInfoErrorKind, Context};
use events::QueueName;
use events::subject::LEDGER_STREAM;

use crate::error::QueueError;
use crate::link::Link;

use consumer::Durable;

pub use consumer::{Backlog, QueueStatus, durable_name};
pub use floors::{FloorOf, Floors};
pub use job::{Acknowledge, Job, Receipt, redelivery_delay};
pub use worker::Worker;

/// The queues of accepted submissions.
#[derive(Clone, Debug)]
pub struct Queue {
    context: Context,
    link: Link,
}

impl Queue {
    pub(crate) const fn new(context: Context, link: Link) -> Self {
        Self { context, link }
    }

    /// Makes sure that a queue exists as it must be. A job that is not acknowledged within
    /// `ack_wait` goes to another worker.
    ///
    /// A queue whose durable was lost begins at its floor.
    pub async fn provision(&self, name: &QueueName, ack_wait: Duration) -> Result<(), QueueError> {
        let floors = &self.floors();
        let durable = Durable { context: &self.context, floors, name, ack_wait };
        durable.ensure().await.map_err(QueueError)
    }

    /// Joins the workers of a queue. It must exist.
    pub async fn consumer(&self, name: &QueueName) -> Result<Worker, QueueError> {
        Worker::join(self.context.clone(), name.clone(), &self.link).await
    }

    /// Returns how far its readers have come.
    pub fn floors(&self) -> Floors {
        Floors::new(&self.context, &self.link)
    }

    /// Returns what the server says of a queue; none where it was not made yet.
    pub async fn status(&self, name: &QueueName) -> Result<Option<QueueStatus>, QueueError> {
        let stream = self.context.get_stream_no_info(LEDGER_STREAM).await;
        let stream = stream.map_err(|error| QueueError(error.into()))?;
        match stream.consumer_info(consumer::durable_name(name)).await {
            Ok(info) => Ok(Some(QueueStatus::of(&info))),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(QueueError(error.into())),
        }
    }
}
