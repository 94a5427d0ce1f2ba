//! Taking submissions from the queue: as many as there are free cells, and not one more, since what
//! waits here could run on another executor.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use backon::BackoffBuilder;
use events::QueueName;
use futures::StreamExt;
use ledger::{FloorOf, Floors, Presence, Queue, QueueError, Worker};
use metrics::{gauge, histogram};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::attempt::{AckWait, DeliveryHandler, HeldSubmissions};
use crate::cells::pool::Pool;
use crate::cells::warm_cells::NoCellError;
use crate::metrics::{CELL_WAIT_SECONDS, QUEUE_BACKLOG, gauge_value};
use crate::waits::{next_wait, until_back, until_success};

/// How long one request to the queue waits.
const FETCH_TIME: Duration = Duration::from_secs(30);
/// The same in a spare place, since the processor that was idle may soon have work.
const SPARE_FETCH_TIME: Duration = Duration::from_secs(1);
/// How often the floor of a queue is stored at most. If it is too old by as much, the submissions of
/// that time are read again.
const STORE_FLOOR_EVERY: Duration = Duration::from_secs(30);
/// How often the queue is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// Takes the submissions of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    pub(crate) queue: Queue,
    /// What this executor sets at the queue.
    pub(crate) ack_wait: Duration,
    pub(crate) name: QueueName,
    pub(crate) cells: Pool,
    /// The images that the pool's languages need.
    pub(crate) images: Vec<String>,
    pub(crate) deliveries: DeliveryHandler,
    /// Submissions that are being worked on.
    pub(crate) jobs: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Intake {
    /// Takes submissions until the stop.
    pub(crate) async fn consume(self) {
        let Some(mut worker) = self.stop.clone().run_until_cancelled(self.join()).await else {
            return;
        };
        let taking = self.take_submissions(&mut worker);
        let _stopped: Option<Infallible> = self.stop.clone().run_until_cancelled(taking).await;
        // Deliveries that are still on their way here go back at once, rather than after an ack
        // wait.
        worker.close().await;
    }

    async fn join(&self) -> Worker {
        let join = || self.queue.consumer(&self.name, self.ack_wait);
        until_success(join, "the queue is not there yet").await
    }

    /// Each turn: a free cell first, then a submission for it.
    async fn take_submissions(&self, worker: &mut Worker) -> Infallible {
        let mut waits = until_back().build();
        loop {
            let asked_at = Instant::now();
            let lane = (self.name.lane, self.name.pool.clone());
            let mut reserved = match self.cells.reserve(&lane, &self.images).await {
                Ok(reserved) => reserved,
                // The executor stops, and ends this loop when it has nothing left to take back.
                Err(
                    NoCellError::Closed
                    | NoCellError::UnknownImage(_)
                    | NoCellError::UnknownLane(..),
                ) => std::future::pending().await,
            };
            let waited = asked_at.elapsed();
            let expires = if reserved.is_spare() { SPARE_FETCH_TIME } else { FETCH_TIME };
            match worker.fetch(1, expires).await {
                Ok(jobs) => {
                    // The queue answers, so the next failure is a new one.
                    waits = until_back().build();
                    if let Some(job) = jobs.into_iter().next() {
                        histogram!(CELL_WAIT_SECONDS).record(waited);
                        let deliveries = self.deliveries.clone();
                        self.jobs.spawn(async move {
                            deliveries.handle_delivery(job, &mut reserved).await;
                        });
                    }
                }
                Err(QueueError(fault)) => {
                    warn!(error = fault.as_ref() as &dyn Error, "the queue does not answer");
                    // The cell may serve another lane meanwhile.
                    drop(reserved);
                    sleep(next_wait(&mut waits)).await;
                }
            }
        }
    }
}

/// Makes the work on a submission look at the ledger when a client wants it stopped. Returns when
/// the connection is closed.
pub(crate) async fn heed_cancellations(presence: Presence, name: QueueName, held: HeldSubmissions) {
    let subscribe = || presence.cancellations(name.lane, &name.pool);
    let ids = until_success(subscribe, "cancellations are not heard yet").await;
    ids.for_each(async |id| held.ring(id)).await;
}

/// Looks at a queue regularly, for as long as this runs: how many submissions wait, the ack wait that
/// is in force, and how far the queue has come.
pub(crate) async fn measure_queue(queue: Queue, name: QueueName, ack_wait: AckWait) {
    let (floors, mut stored) = (queue.floors(), StoredFloor { floor: 0, since: None });
    let labels = [
        ("lane", name.lane.as_str().to_owned()),
        ("priority", name.priority.as_str().to_owned()),
        ("pool", name.pool.to_string()),
    ];
    loop {
        match queue.status(&name).await {
            Ok(Some(status)) => {
                ack_wait.set(status.ack_wait);
                let waiting = usize::try_from(status.backlog.waiting).unwrap_or(usize::MAX);
                gauge!(QUEUE_BACKLOG, &labels).set(gauge_value(waiting));
                stored.store_if_moved(&floors, &name, status.acknowledged).await;
            }
            // No executor has ever joined it.
            Ok(None) => {}
            Err(error) => {
                warn!(error = &error as &dyn Error, "the queue was not measured");
            }
        }
        sleep(MEASURE_EVERY).await;
    }
}

/// The floor of a queue, as this executor stored it last.
struct StoredFloor {
    floor: u64,
    since: Option<Instant>,
}

impl StoredFloor {
    async fn store_if_moved(&mut self, floors: &Floors, name: &QueueName, floor: u64) {
        let is_recent = self.since.is_some_and(|since| since.elapsed() < STORE_FLOOR_EVERY);
        if floor == self.floor || is_recent {
            return;
        }
        if let Err(error) = floors.store(FloorOf::Queue(name), floor).await {
            warn!(error = &error as &dyn Error, "the floor of a queue was not stored");
            return;
        }
        *self = Self { floor, since: Some(Instant::now()) };
    }
}
