//! What a settler needs besides the ledger: the lead among the executors of its pool, floors, what
//! the queues have delivered, and places to run. Tests have all of it in memory.

use std::fmt::Debug;

use async_trait::async_trait;
use events::{Lane, LedgerPosition, PoolName, QueueName};
use ledger::{FloorOf, Leadership, Queue, QueueError};

use crate::cells::pool::Pool;
use crate::cells::source::CellSource;

/// What a settler needs besides the ledger.
#[async_trait]
pub(crate) trait SettlerPorts: Debug + Send + Sync {
    /// Waits until this executor settles the pool.
    async fn gain_lead(&self);
    /// Goes on settling the pool. Returns when another executor does, or may.
    async fn keep_lead(&self);
    /// Lets another executor settle the pool.
    async fn leave_lead(&self);
    /// Returns where a reader stands when every submission of the pool up to there has ended.
    async fn floor(&self) -> Result<Option<LedgerPosition>, QueueError>;
    async fn store_floor(&self, floor: u64) -> Result<(), QueueError>;
    /// Returns the sequence up to which a queue has given its submissions to executors.
    async fn delivered(&self, queue: &QueueName) -> Result<u64, QueueError>;
    /// Returns cells to run in, which wait for a place like every other submission of the lane.
    fn cells(&self, lane: Lane) -> Box<dyn CellSource>;
}

/// The real ones.
#[derive(Debug)]
pub(crate) struct PoolPorts {
    pub(crate) leadership: Leadership,
    pub(crate) queue: Queue,
    pub(crate) pool: PoolName,
    pub(crate) cells: Pool,
    /// The lanes that have places here.
    pub(crate) lanes: Vec<Lane>,
    /// The images that the pool's languages need.
    pub(crate) images: Vec<String>,
}

#[async_trait]
impl SettlerPorts for PoolPorts {
    async fn gain_lead(&self) {
        self.leadership.gain().await;
    }

    async fn keep_lead(&self) {
        self.leadership.keep().await;
    }

    async fn leave_lead(&self) {
        self.leadership.release().await;
    }

    async fn floor(&self) -> Result<Option<LedgerPosition>, QueueError> {
        self.queue.floors().load(FloorOf::Settler(&self.pool)).await
    }

    async fn store_floor(&self, floor: u64) -> Result<(), QueueError> {
        self.queue.floors().store(FloorOf::Settler(&self.pool), floor).await
    }

    async fn delivered(&self, queue: &QueueName) -> Result<u64, QueueError> {
        // A queue that is not made yet has delivered nothing.
        Ok(self.queue.status(queue).await?.map_or(0, |status| status.delivered))
    }

    fn cells(&self, lane: Lane) -> Box<dyn CellSource> {
        // It may be that no other executor serves its lane any more.
        let served =
            self.lanes.iter().find(|served| **served == lane).or_else(|| self.lanes.first());
        let lane = (served.copied().unwrap_or(lane), self.pool.clone());
        Box::new(self.cells.unreserved(&lane, &self.images))
    }
}
