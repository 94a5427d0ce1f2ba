//! Taking submissions from the queue: as many as there are free cells, and not one more, since what
//! waits here could run on another executor.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use backon::BackoffBuilder;
use events::{Lane, PoolName, Priority, QueueName};
use futures::StreamExt;
use ledger::{Presence, Queue, QueueError};
use metrics::histogram;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::attempt::{DeliveryHandler, HeldSubmissions};
use crate::cells::pool::{Pool, Reservation};
use crate::cells::warm_cells::NoCellError;
use crate::lane_queues::{LaneQueues, QueueEnd, Taken};
use crate::metrics::CELL_WAIT_SECONDS;
use crate::waits::{next_wait, until_back, until_success};

/// How long one request to the queue waits.
const FETCH_TIME: Duration = Duration::from_secs(30);
/// The same in a place that is not the lane's own: another lane, or none, may soon need it.
const SHARED_FETCH_TIME: Duration = Duration::from_secs(1);

/// Takes the submissions of one lane of a pool.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    pub(crate) queue: Queue,
    pub(crate) lane: (Lane, PoolName),
    pub(crate) cells: Pool,
    /// The images that the pool's languages need.
    pub(crate) images: Vec<String>,
    /// Works on the submissions of each queue of the lane.
    pub(crate) normal: DeliveryHandler,
    pub(crate) surplus: DeliveryHandler,
    /// Submissions that are being worked on.
    pub(crate) jobs: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Intake {
    /// Takes submissions until the stop.
    pub(crate) async fn consume(self) {
        let joining = async {
            LaneQueues {
                normal: self.join(Priority::Normal, &self.normal).await,
                surplus: self.join(Priority::Surplus, &self.surplus).await,
                taken: 0,
            }
        };
        // Boxed here and below: two ends of a queue make large futures.
        let Some(mut queues) = self.stop.clone().run_until_cancelled(Box::pin(joining)).await
        else {
            return;
        };
        let taking = Box::pin(self.take_submissions(&mut queues));
        let _stopped: Option<Infallible> = self.stop.clone().run_until_cancelled(taking).await;
        // Deliveries that are still on their way here go back at once, rather than after an ack
        // wait.
        Box::pin(queues.close()).await;
    }

    async fn join(&self, priority: Priority, deliveries: &DeliveryHandler) -> QueueEnd {
        let (lane, pool) = self.lane.clone();
        let name = QueueName { lane, priority, pool };
        let join = || self.queue.consumer(&name);
        let worker = until_success(join, "the queue is not there yet").await;
        QueueEnd { worker, deliveries: deliveries.clone() }
    }

    /// Each turn: a free cell first, then a submission for it.
    async fn take_submissions(&self, queues: &mut LaneQueues) -> Infallible {
        let mut waits = until_back().build();
        loop {
            let asked_at = Instant::now();
            let reserved = self.reserve(queues).await;
            let waited = asked_at.elapsed();
            let expires = if reserved.is_own() { FETCH_TIME } else { SHARED_FETCH_TIME };
            match queues.next(expires).await {
                Ok(taken) => {
                    // The queue answers, so the next failure is a new one.
                    waits = until_back().build();
                    if let Some(taken) = taken {
                        histogram!(CELL_WAIT_SECONDS).record(waited);
                        self.work_on(taken, reserved);
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

    async fn reserve(&self, queues: &mut LaneQueues) -> Reservation {
        loop {
            tokio::select! {
                reserved = self.cells.reserve(&self.lane, &self.images) => match reserved {
                    Ok(reserved) => return reserved,
                    // The executor stops, and ends this when it has nothing left to take back.
                    Err(
                        NoCellError::Closed
                        | NoCellError::UnknownImage(_)
                        | NoCellError::UnknownLane(..),
                    ) => std::future::pending().await,
                },
                // It came to a place that another one has taken since. An executor with a free
                // place gets it at once, or this one when it has a place again.
                taken = queues.straggler() => hand_back(&taken).await,
            }
        }
    }

    fn work_on(&self, taken: Taken, mut reserved: Reservation) {
        self.jobs.spawn(async move {
            taken.deliveries.handle_delivery(taken.job, &mut reserved).await;
        });
    }
}

async fn hand_back(taken: &Taken) {
    if let Err(error) = taken.job.receipt.nak(Duration::ZERO).await {
        warn!(error = &error as &dyn Error, "a submission was not handed back");
    }
}

/// Makes the work on a submission look at the ledger when a client wants it stopped. Returns when
/// the connection is closed.
pub(crate) async fn heed_cancellations(
    presence: Presence,
    lane: Lane,
    pool: PoolName,
    held: HeldSubmissions,
) {
    let subscribe = || presence.cancellations(lane, &pool);
    let ids = until_success(subscribe, "cancellations are not heard yet").await;
    ids.for_each(async |id| held.ring(id)).await;
}
