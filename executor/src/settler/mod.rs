//! Finds accepted submissions that have no end and that the queue has forgotten, and works on them
//! as if they had been delivered. Nothing depends on what a consumer remembers: an operator may
//! have acknowledged a message by hand, and a consumer may have skipped one.

mod ports;
mod unsettled;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::{Lane, PoolName, QueueName};
use futures::stream::StreamExt as _;
use ledger::{Acknowledge, Aggregate, FollowError, Job, QueueError, ReadError};
use metrics::{counter, gauge};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub(crate) use self::ports::{PoolPorts, SettlerPorts};
use self::unsettled::{OpenSubmission, Unsettled};
use crate::attempt::DeliveryHandler;
use crate::metrics::{OLDEST_UNSETTLED_SECONDS, SUBMISSIONS_RESETTLED};

/// The longest time between two looks.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(30);
/// Looks in the time after which a submission is looked into.
const LOOKS_PER_WAIT: u32 = 4;
/// Submissions that are taken up at once: each may be a false alarm, and waits for a place.
const TAKEN_UP_MAX: usize = 8;
/// The wait before the ledger is read again from the floor on.
const BEGIN_ANEW_AFTER: Duration = Duration::from_secs(3);
/// How long the lead is left to others that may be able to read what this executor cannot: longer
/// than they take to look for it.
const STEP_BACK: Duration = Duration::from_secs(10);

/// Settles one pool, if this executor leads.
#[derive(Debug)]
pub(crate) struct Settler {
    pub(crate) pool: PoolName,
    /// How long nothing must have been heard of a submission.
    pub(crate) settle_after: Duration,
    pub(crate) ports: Arc<dyn SettlerPorts>,
    pub(crate) deliveries: DeliveryHandler,
    /// Submissions that are being worked on.
    pub(crate) jobs: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// Why the settler has to begin anew.
#[derive(Debug, thiserror::Error)]
enum SettlerLost {
    #[error("the ledger cannot be read")]
    Read(#[from] ReadError),
    #[error("the ledger cannot be followed")]
    Follow(#[from] FollowError),
    #[error("the floor or the queues cannot be reached")]
    Queue(#[from] QueueError),
    #[error("the ledger has ended")]
    Ended,
}

impl SettlerLost {
    /// Tells whether an event is of a newer version.
    const fn is_newer(&self) -> bool {
        matches!(
            self,
            Self::Read(ReadError::Newer { .. })
                | Self::Follow(FollowError::Read(ReadError::Newer { .. }))
        )
    }
}

/// What is kept from one look to the next.
#[derive(Debug)]
struct LastLook {
    floor: u64,
    /// The accepted sequence of the last submission that was taken up.
    taken_up: u64,
}

impl Settler {
    /// Settles whenever this executor leads, until the stop.
    pub(crate) async fn run(self) {
        let stop = self.stop.clone();
        let settling = async {
            loop {
                self.ports.gain_lead().await;
                self.settle_while_leading().await;
            }
        };
        let _stopped: Option<Infallible> = stop.run_until_cancelled(settling).await;
    }

    async fn settle_while_leading(&self) {
        info!(pool = %self.pool, "looking for forgotten submissions");
        tokio::select! {
            () = self.ports.keep_lead() => {}
            () = self.settle_as_far_as_it_can() => {
                // In a rolling upgrade a newer executor can go on, and must not wait for the end of
                // this one.
                self.ports.leave_lead().await;
                return sleep(STEP_BACK).await;
            }
        }
        // The executor that leads from now on shows the age.
        for lane in Lane::ALL {
            self.tell_oldest(*lane, 0.0);
        }
    }

    /// Settles until it meets an event that it cannot read, and begins anew after other faults. The
    /// age stays as it was meanwhile: zero would look well.
    async fn settle_as_far_as_it_can(&self) {
        loop {
            let Err(lost) = self.settle().await;
            warn!(error = &lost as &dyn Error, "forgotten submissions are not looked for");
            if lost.is_newer() {
                return;
            }
            sleep(BEGIN_ANEW_AFTER).await;
        }
    }

    /// Reads the ledger and looks regularly at what does not end.
    async fn settle(&self) -> Result<Infallible, SettlerLost> {
        let begins = self.ports.floor().await?;
        let floor = begins.map_or(0, |position| position.sequence);
        let mut unsettled = Unsettled::after(begins, self.pool.clone());
        let mut last = LastLook { floor, taken_up: 0 };
        let mut looks = interval((self.settle_after / LOOKS_PER_WAIT).min(LOOK_EVERY_MAX));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let turns = Arc::new(Semaphore::new(TAKEN_UP_MAX));
        loop {
            looks.tick().await;
            self.read_to_end(&mut unsettled).await?;
            match self.look(&unsettled, &mut last).await {
                Ok(found) => self.take_up(found, &mut unsettled, &turns).await,
                Err(lost) => {
                    warn!(error = &lost as &dyn Error, "a look was not possible");
                }
            }
        }
    }

    /// Takes in what was appended since the last look. Not as it comes: that would cost each
    /// submission time, for what is looked at twice a minute.
    async fn read_to_end(&self, unsettled: &mut Unsettled) -> Result<(), SettlerLost> {
        let ledger = &self.deliveries.context.ledger;
        let end = ledger.last_sequence().await?;
        let mut entries = ledger.follow(unsettled.position());
        while unsettled.sequence() < end {
            unsettled.take_in(&entries.next().await.ok_or(SettlerLost::Ended)??);
        }
        Ok(())
    }

    /// Returns the submissions to be taken up.
    async fn look(
        &self,
        unsettled: &Unsettled,
        last: &mut LastLook,
    ) -> Result<Vec<OpenSubmission>, SettlerLost> {
        let now = self.deliveries.context.clock.now();
        for lane in Lane::ALL {
            let age = unsettled.oldest(*lane).map(|at| (now - at).as_seconds_f64());
            self.tell_oldest(*lane, age.unwrap_or(0.0));
        }
        if unsettled.floor() != last.floor {
            self.ports.store_floor(unsettled.floor()).await?;
            last.floor = unsettled.floor();
        }
        let delivered = self.delivered().await?;
        let is_forgotten = |open: &&OpenSubmission| {
            // What waits in the queue was not delivered yet, and what is held here is in hand.
            delivered
                .get(&open.queue())
                .is_some_and(|delivered| open.accepted_sequence <= *delivered)
                && !self.deliveries.held.contains(open.subject.id)
        };
        let silent = unsettled.silent_since(now - self.settle_after, last.taken_up);
        let found: Vec<_> = silent.filter(is_forgotten).take(TAKEN_UP_MAX).cloned().collect();
        if let Some(open) = found.last() {
            last.taken_up = open.accepted_sequence;
        }
        Ok(found)
    }

    /// Returns how far each queue of the pool has delivered.
    async fn delivered(&self) -> Result<HashMap<QueueName, u64>, QueueError> {
        let mut delivered = HashMap::new();
        for queue in QueueName::of_pool(&self.pool) {
            let sequence = self.ports.delivered(&queue).await?;
            delivered.insert(queue, sequence);
        }
        Ok(delivered)
    }

    /// Works on submissions as if they had been delivered. If one is not forgotten but runs on
    /// another executor, that costs a question: the append decides who may run it.
    async fn take_up(
        &self,
        found: Vec<OpenSubmission>,
        unsettled: &mut Unsettled,
        turns: &Arc<Semaphore>,
    ) {
        for open in found {
            let Some(aggregate) = self.read(&open).await else { continue };
            // Its end may come with the next reading. It never does if what was taken in is an
            // acceptance that somebody else wrote after the end.
            if aggregate.submission.state.is_terminal() {
                unsettled.forget(open.subject.id);
                continue;
            }
            // As the queue would have delivered it. The trace that it was accepted in is long over.
            let receipt = Arc::new(NoReceipt);
            let job = Job { aggregate, traceparent: None, delivered: 0, receipt };
            let Ok(turn) = turns.clone().try_acquire_owned() else { return };
            let mut cells = self.ports.cells(open.subject.lane);
            info!(submission.id = %open.subject.id, "a submission is taken up that does not end");
            counter!(SUBMISSIONS_RESETTLED).increment(1);
            let deliveries = self.deliveries.clone();
            self.jobs.spawn(async move {
                deliveries.handle_delivery(job, cells.as_mut()).await;
                drop(turn);
            });
        }
    }

    async fn read(&self, open: &OpenSubmission) -> Option<Aggregate> {
        let read = self.deliveries.context.ledger.load_at(&open.subject).await;
        read.inspect_err(|error| {
            warn!(error = error as &dyn Error, "an open submission cannot be read");
        })
        .ok()?
    }

    fn tell_oldest(&self, lane: Lane, age_s: f64) {
        let labels = [("lane", lane.as_str().to_owned()), ("pool", self.pool.to_string())];
        gauge!(OLDEST_UNSETTLED_SECONDS, &labels).set(age_s);
    }
}

/// There is no queue that waits for an answer.
#[derive(Debug)]
struct NoReceipt;

#[async_trait]
impl Acknowledge for NoReceipt {
    async fn ack(&self) -> Result<(), QueueError> {
        Ok(())
    }

    async fn nak(&self, _delay: Duration) -> Result<(), QueueError> {
        Ok(())
    }

    async fn in_progress(&self) -> Result<(), QueueError> {
        Ok(())
    }
}
