//! Taking submissions from the queue: as many as there are free cells, and not one ahead of that.

use std::time::Duration;

use events::{Lane, PoolName};
use futures::StreamExt;
use ledger::{Job, Presence, Queue, QueueError, Worker};
use metrics::{gauge, histogram};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::attempt::{Attempts, Held};
use crate::cells::lease::Reservation;
use crate::cells::pool::{Pool, PoolError};
use crate::metrics::{CELL_WAIT_SECONDS, QUEUE_BACKLOG};
use crate::patience::Patience;
use crate::runner::Seat;

/// How long one request to the queue waits.
const FETCH_TIME: Duration = Duration::from_secs(30);
/// How often the queue is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// Takes the submissions of one lane and pool.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) queue: Queue,
    pub(crate) lane: Lane,
    pub(crate) pool: PoolName,
    pub(crate) cells: Pool,
    /// The images that the pool's languages need.
    pub(crate) images: Vec<String>,
    pub(crate) attempts: Attempts,
    /// Submissions that are being settled.
    pub(crate) jobs: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Consumer {
    /// Takes and settles until the stop. Returns before it only if the queue has something that this version cannot read.
    pub(crate) async fn run(self) {
        let Some(mut worker) = self.stop.clone().run_until_cancelled(self.join()).await else {
            return;
        };
        let unreadable = self.stop.clone().run_until_cancelled(self.take_all(&mut worker)).await;
        if let Some(error) = unreadable {
            error!(
                error = &error as &dyn std::error::Error,
                "the queue cannot be read: upgrade this executor"
            );
        }
        worker.close().await;
    }

    async fn join(&self) -> Worker {
        let mut patience = Patience::new();
        loop {
            let ack_wait = self.attempts.settings.ack_wait;
            match self.queue.consumer(self.lane, &self.pool, ack_wait).await {
                Ok(worker) => return worker,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "the queue is not there yet");
                    patience.wait().await;
                }
            }
        }
    }

    /// Each turn: a free cell first, then a submission for it.
    async fn take_all(&self, worker: &mut Worker) -> QueueError {
        let mut patience = Patience::new();
        loop {
            let asked_at = Instant::now();
            let reserved = match self.cells.reserve(&self.images).await {
                Ok(reserved) => reserved,
                Err(PoolError::Closed | PoolError::UnknownImage(_)) => std::future::pending().await,
            };
            let waited = asked_at.elapsed();
            match worker.fetch(1, FETCH_TIME).await {
                Ok(jobs) => {
                    patience = Patience::new();
                    let first = jobs.into_iter().next();
                    if let Some(job) = first {
                        histogram!(CELL_WAIT_SECONDS).record(waited);
                        self.settle(job, reserved);
                    }
                }
                Err(QueueError::Unavailable(fault)) => {
                    warn!(
                        error = fault.as_ref() as &dyn std::error::Error,
                        "the queue does not answer"
                    );
                    drop(reserved);
                    patience.wait().await;
                }
                Err(unreadable @ QueueError::Unreadable(_)) => return unreadable,
            }
        }
    }

    fn settle(&self, job: Job, reserved: Reservation) {
        let seat = Seat::new(self.cells.clone(), self.images.clone(), reserved);
        let attempts = self.attempts.clone();
        self.jobs.spawn(async move { attempts.settle(job, &seat).await });
    }
}

/// Has whoever runs a submission look at it when somebody wants it stopped. Returns when the connection is closed.
pub(crate) async fn heed_cancellations(presence: Presence, lane: Lane, pool: PoolName, held: Held) {
    let mut patience = Patience::new();
    loop {
        match presence.cancellations(lane, &pool).await {
            Ok(ids) => return ids.for_each(async |id| held.ring(id)).await,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "cancellations are not heard yet");
                patience.wait().await;
            }
        }
    }
}

/// Measures how much waits.
pub(crate) async fn measure(queue: Queue, lane: Lane, pool: PoolName) {
    loop {
        match queue.backlog(lane, &pool).await {
            Ok(Some(backlog)) => {
                let labels = [("lane", lane.as_str().to_owned()), ("pool", pool.to_string())];
                gauge!(QUEUE_BACKLOG, &labels).set(f64_of(backlog.waiting));
            }
            Ok(None) => {}
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "the queue was not measured");
            }
        }
        tokio::time::sleep(MEASURE_EVERY).await;
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge of more than 2^52 submissions may be off by one"
)]
fn f64_of(count: u64) -> f64 {
    count as f64
}
