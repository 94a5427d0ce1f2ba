//! The two queues of one lane and pool, and which of them is asked first: the normal one, and every
//! fifth time the one of the surplus, so that no submission waits for ever.

use std::time::Duration;

use events::Priority;
use ledger::{Job, QueueError, Worker};

use crate::attempt::DeliveryHandler;

/// One in so many submissions is taken from the surplus first.
const SURPLUS_EVERY: u32 = 5;

/// One queue, and what works on its submissions.
#[derive(Debug)]
pub(crate) struct QueueEnd {
    pub(crate) worker: Worker,
    /// It has the queue's ack wait.
    pub(crate) deliveries: DeliveryHandler,
}

impl QueueEnd {
    fn taken(&self, job: Job) -> Taken {
        Taken { job, deliveries: self.deliveries.clone() }
    }
}

/// A submission that was taken from a queue.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) job: Job,
    pub(crate) deliveries: DeliveryHandler,
}

/// The queues of one lane of a pool.
#[derive(Debug)]
pub(crate) struct LaneQueues {
    pub(crate) normal: QueueEnd,
    pub(crate) surplus: QueueEnd,
    /// How many submissions were taken.
    pub(crate) taken: u32,
}

impl LaneQueues {
    /// Returns the next submission. Waits up to `expires` where there is none.
    pub(crate) async fn next(&mut self, expires: Duration) -> Result<Option<Taken>, QueueError> {
        let mut taken = None;
        // Where a request of ours waits, that queue is empty, and there is nothing to choose.
        if !self.normal.worker.is_waiting() && !self.surplus.worker.is_waiting() {
            taken = self.take_now().await?;
        }
        if taken.is_none() {
            // The fetch that comes second is found by the next turn, or is a straggler.
            let Self { normal, surplus, .. } = self;
            taken = tokio::select! {
                biased;
                jobs = normal.worker.fetch(1, expires) => jobs?.pop().map(|job| normal.taken(job)),
                jobs = surplus.worker.fetch(1, expires) => jobs?.pop().map(|job| surplus.taken(job)),
            };
        }
        self.taken = self.taken.wrapping_add(u32::from(taken.is_some()));
        Ok(taken)
    }

    /// Returns what waits in the queues by now, and leaves no request there: it would bring a
    /// straggler as soon as the queue has something.
    async fn take_now(&mut self) -> Result<Option<Taken>, QueueError> {
        for priority in order(self.taken) {
            let end = self.end(priority);
            if let Some(job) = end.worker.fetch_now().await? {
                return Ok(Some(end.taken(job)));
            }
        }
        Ok(None)
    }

    /// Waits for a submission that was asked for and came after another one had been taken.
    pub(crate) async fn straggler(&mut self) -> Taken {
        let Self { normal, surplus, .. } = self;
        tokio::select! {
            job = normal.worker.straggler() => normal.taken(job),
            job = surplus.worker.straggler() => surplus.taken(job),
        }
    }

    /// Takes no more, and hands back what was on its way.
    pub(crate) async fn close(self) {
        tokio::join!(self.normal.worker.close(), self.surplus.worker.close());
    }

    fn end(&mut self, priority: Priority) -> &mut QueueEnd {
        match priority {
            Priority::Normal => &mut self.normal,
            Priority::Surplus => &mut self.surplus,
        }
    }
}

/// Returns which queue is asked first and which second.
fn order(taken: u32) -> [Priority; 2] {
    if taken % SURPLUS_EVERY == SURPLUS_EVERY - 1 {
        [Priority::Surplus, Priority::Normal]
    } else {
        [Priority::Normal, Priority::Surplus]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_five_is_of_the_surplus() {
        let first = (0..10).map(|taken| order(taken)[0]);
        let surplus = first.filter(|priority| *priority == Priority::Surplus).count();
        assert_eq!(surplus, 2);
    }
}
