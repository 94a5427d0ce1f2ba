//! Looks at a queue regularly: how many submissions wait, which ack wait is in force, and how far
//! it was acknowledged, which is stored as its floor.

use std::error::Error;
use std::time::Duration;

use events::QueueName;
use ledger::{FloorOf, Floors, Queue};
use metrics::gauge;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::attempt::AckWait;
use crate::metrics::{QUEUE_BACKLOG, gauge_value};

/// How often the floor of a queue is stored at most. If it is too old by as much, the submissions
/// of that time are read again.
const STORE_FLOOR_EVERY: Duration = Duration::from_secs(30);
/// How often the queue is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// Looks at a queue regularly, for as long as this runs: how many submissions wait, the ack wait
/// that is in force, and how far the queue has come.
pub(crate) async fn watch_queue(queue: Queue, name: QueueName, ack_wait: AckWait) {
    let (floors, mut stored) = (queue.floors(), StoredFloor { floor: 0, at: None });
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
            // It is not made yet.
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
    at: Option<Instant>,
}

impl StoredFloor {
    async fn store_if_moved(&mut self, floors: &Floors, name: &QueueName, floor: u64) {
        let is_recent = self.at.is_some_and(|at| at.elapsed() < STORE_FLOOR_EVERY);
        if floor == self.floor || is_recent {
            return;
        }
        if let Err(error) = floors.store(FloorOf::Queue(name), floor).await {
            warn!(error = &error as &dyn Error, "the floor of a queue was not stored");
            return;
        }
        *self = Self { floor, at: Some(Instant::now()) };
    }
}
