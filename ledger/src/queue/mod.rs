//! The ledger as queues: a durable consumer for each. Knows no Docker and runs nothing.

mod consumer;
pub(crate) mod floors;
mod job;
mod pull;
mod worker;

use std::time::Duration;

use async_nats::jetstream::context::{ConsumerInfoErrorKind, Context};
use events::QueueName;
use events::subject::LEDGER_STREAM;

use crate::error::QueueError;
use crate::link::Link;

use consumer::Durable;

pub use consumer::{Backlog, QueueStatus};
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

    /// Joins the workers of a queue. A job that is not acknowledged within `ack_wait` goes to
    /// another worker: for all of them holds what the last one to join has set.
    pub async fn consumer(
        &self,
        name: &QueueName,
        ack_wait: Duration,
    ) -> Result<Worker, QueueError> {
        let (context, name) = (self.context.clone(), name.clone());
        Worker::join(Durable { context, name, ack_wait }, self.link.clone()).await
    }

    /// Returns how far its readers have come.
    pub fn floors(&self) -> Floors {
        Floors::new(self.context.clone())
    }

    /// Returns what the server says of a queue; none where no executor has ever been.
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
