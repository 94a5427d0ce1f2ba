//! The ledger as queues: a durable consumer for each lane, priority and pool. Knows no Docker and runs
//! nothing.

mod consumer;
mod job;
mod pull;
mod worker;

use std::time::Duration;

use async_nats::jetstream::context::{ConsumerInfoErrorKind, Context};
use events::QueueName;
use events::subject::LEDGER_STREAM;

use crate::error::QueueError;
use crate::link::Link;

pub use consumer::Backlog;
pub use job::{Acknowledge, Job, Receipt};
pub use worker::Worker;

/// The queue of accepted submissions.
#[derive(Clone, Debug)]
pub struct Queue {
    context: Context,
    link: Link,
}

impl Queue {
    pub(crate) const fn new(context: Context, link: Link) -> Self {
        Self { context, link }
    }

    /// Joins the workers of a queue. A job that is not acknowledged within
    /// `ack_wait` goes to another worker.
    pub async fn consumer(
        &self,
        queue: &QueueName,
        ack_wait: Duration,
    ) -> Result<Worker, QueueError> {
        let config = consumer::config(queue, ack_wait);
        Worker::join(self.context.clone(), self.link.clone(), config).await
    }

    /// Returns how much there is to do; none where no executor has ever been.
    pub async fn backlog(&self, queue: &QueueName) -> Result<Option<Backlog>, QueueError> {
        let name = consumer::durable_name(queue);
        let stream = self.context.get_stream_no_info(LEDGER_STREAM).await;
        let stream = stream.map_err(|error| QueueError(error.into()))?;
        match stream.consumer_info(name).await {
            Ok(info) => Ok(Some(Backlog::of(&info))),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(QueueError(error.into())),
        }
    }
}
