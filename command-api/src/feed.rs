//! Reads the ledger for what admission counts, so that the submissions of other copies of this
//! service count, and those that have begun or ended do not.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use events::{LedgerPosition, QueueName, Recorded};
use futures::StreamExt as _;
use ledger::{
    FollowError, HistoryDiffers, Ledger, LedgerEntry, Queue, QueueError, QueueStatus, ReadError,
};
use tracing::warn;

use crate::fair_shares::FairShares;
use crate::owed_room::OwedRoom;
use crate::stored_bytes::StoredBytes;

/// The pause between two looks at the ledger's end. What has begun or ended in it still counts, and
/// what other copies have accepted does not yet.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// The pause between two tries to read the ledger.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Events that are read back for a queue of which the server says nothing. It takes about a second.
const LOOK_BACK_MAX: u64 = 200_000;

/// Counts what the ledger tells.
#[async_trait]
pub(crate) trait Counter: Send + Sync {
    /// Returns the sequence from which on it has to hear the ledger.
    async fn first(&self, ledger: &Ledger) -> Result<u64, FeedError>;

    /// Takes an event into account.
    fn hear(&self, recorded: &Recorded);

    /// Has heard everything up to now.
    fn all_is_heard(&self);

    /// Begins anew: what was heard is not what the ledger has, or the rest cannot be heard.
    fn forget(&self);
}

/// Why the ledger is not read any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    #[error("the ledger cannot be read")]
    Read(#[from] ReadError),
    #[error("the queues cannot be looked at")]
    Queue(#[from] QueueError),
    #[error("the ledger cannot be followed")]
    Follow(#[from] FollowError),
    #[error("the ledger has ended")]
    Ended,
}

/// From where on the ledger is followed.
#[derive(Clone, Copy, Debug)]
enum FeedStart {
    /// From where the counter says.
    First,
    /// After what is heard.
    After(LedgerPosition),
    /// After its present end: an event before it cannot be read.
    End,
}

/// Follows for ever, beginning again as often as it takes.
pub(crate) async fn feed(counter: &dyn Counter, ledger: &Ledger) -> Infallible {
    let mut start = FeedStart::First;
    loop {
        let Err(lost) = follow(counter, ledger, &mut start).await;
        warn!(error = &lost as &dyn Error, "the ledger is followed again");
        match lost {
            FeedError::Follow(FollowError::Read(ReadError::Newer { sequence, .. })) => {
                // What was counted so far stays right, but for this one submission.
                if let Ok(Some(passed)) = ledger.position_at(sequence).await {
                    start = FeedStart::After(passed);
                    continue;
                }
            }
            FeedError::Follow(FollowError::Differs(
                HistoryDiffers::SetBack { .. }
                | HistoryDiffers::Replaced { .. }
                | HistoryDiffers::Rewritten { .. },
            )) => {
                counter.forget();
                start = FeedStart::First;
            }
            FeedError::Follow(_) => {
                counter.forget();
                start = FeedStart::End;
            }
            FeedError::Read(_) | FeedError::Queue(_) | FeedError::Ended => {}
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn follow(
    counter: &dyn Counter,
    ledger: &Ledger,
    start: &mut FeedStart,
) -> Result<Infallible, FeedError> {
    let mut heard = match *start {
        FeedStart::First => {
            let first = counter.first(ledger).await?;
            ledger.position_at(first.saturating_sub(1)).await?
        }
        FeedStart::After(position) => Some(position),
        FeedStart::End => ledger.end().await?,
    };
    loop {
        let last = ledger.last_sequence().await?;
        // Not as they come: one more reader that is woken by each event costs each submission time.
        let mut entries = ledger.follow(heard);
        // Unequal also where the ledger was set back, which the reader tells.
        while heard.map_or(0, |position| position.sequence) != last {
            let followed = entries.next().await.ok_or(FeedError::Ended)??;
            if let LedgerEntry::Event(stored) = &followed.entry {
                counter.hear(&stored.recorded);
            }
            heard = Some(followed.position);
            *start = FeedStart::After(followed.position);
        }
        counter.all_is_heard();
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// Counts what waits and what is owed: everything that has not ended.
#[derive(Debug)]
pub(crate) struct UnendedCounter {
    pub(crate) shares: FairShares,
    pub(crate) owed: OwedRoom,
    pub(crate) queue: Queue,
    /// Every queue that submissions can wait in.
    pub(crate) queues: Vec<QueueName>,
}

#[async_trait]
impl Counter for UnendedCounter {
    /// Returns a sequence before which every submission has ended. However many events stand behind
    /// it, all are read: what is owed and not known would let in what cannot end.
    async fn first(&self, ledger: &Ledger) -> Result<u64, FeedError> {
        // Before the queues are looked at, so that what is accepted meanwhile is heard.
        let last = ledger.last_sequence().await?;
        let mut first = last + 1;
        for name in &self.queues {
            let status = self.queue.status(name).await?;
            first = first.min(first_unended(ledger, name, status, last).await?);
        }
        Ok(first)
    }

    fn hear(&self, recorded: &Recorded) {
        let (id, event) = (recorded.envelope.submission, &recorded.envelope.event);
        if self.owed.hear(id, event) {
            self.shares.hear(id, event);
        }
    }

    fn all_is_heard(&self) {
        self.shares.set_fed(true);
        self.owed.all_is_heard();
    }

    fn forget(&self) {
        self.shares.set_fed(false);
        self.owed.forget();
    }
}

/// Returns the sequence of the first submission of a queue that may not have ended; one past the
/// end if there is none.
async fn first_unended(
    ledger: &Ledger,
    name: &QueueName,
    status: Option<QueueStatus>,
    last: u64,
) -> Result<u64, ReadError> {
    let Some(QueueStatus { backlog, acknowledged, .. }) = status else {
        // Its durable was not made yet, or was lost: nothing is known to have ended, and the whole
        // ledger may be long.
        return Ok(last.saturating_sub(LOOK_BACK_MAX).max(1));
    };
    if backlog.waiting + backlog.held == 0 {
        return Ok(last + 1);
    }
    // A submission is acknowledged after its end is in the ledger. In a queue that is seldom used,
    // the next one may stand far behind the last one that was acknowledged.
    Ok(ledger.first_in_queue(name, acknowledged).await?.unwrap_or(last + 1))
}

#[async_trait]
impl Counter for StoredBytes {
    async fn first(&self, ledger: &Ledger) -> Result<u64, FeedError> {
        Ok(ledger.first_since(self.horizon()).await?)
    }

    fn hear(&self, recorded: &Recorded) {
        self.hear(recorded);
    }

    fn all_is_heard(&self) {
        self.all_is_heard();
    }

    fn forget(&self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use events::event::Accepted;
    use events::testing::{self, ManualClock, instant};
    use events::{Content, Lane, ObjectBucket, ObjectRef, Priority, SubmissionId};
    use ledger::Backlog;
    use ledger::memory::MemoryStore;
    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;
    use crate::stored_bytes::StoredLimits;

    const DAY: Duration = Duration::from_hours(24);

    struct Given {
        clock: Arc<ManualClock>,
        store: Arc<MemoryStore>,
        ledger: Ledger,
    }

    fn given() -> Given {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let ledger = Ledger::new(store.clone(), clock.clone());
        Given { clock, store, ledger }
    }

    impl Given {
        /// Takes in a submission with an input of so many bytes.
        async fn accept(&self, number: u128, bytes: u64) {
            let named = ObjectRef::of(ObjectBucket::Sources, &number.to_be_bytes());
            let stdin = Content::Object(ObjectRef { bytes, ..named });
            let accepted = Accepted { stdin, ..testing::accepted() };
            let id = SubmissionId::new(Uuid::from_u128(number));
            self.ledger.accept(id, accepted, &testing::writer()).await.unwrap();
        }

        /// Tells whether a new life of the service refuses ada.
        async fn refuses(&self) -> bool {
            let limits = StoredLimits { bytes_max: 1_000, age: 7 * DAY };
            let stored = StoredBytes::new(limits, self.clock.clone());
            timeout(Duration::from_secs(20), feed(&stored, &self.ledger)).await.unwrap_err();
            stored.check(&testing::USER.parse().unwrap()).is_err()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_life_counts_what_was_stored_within_the_age_and_nothing_older() {
        let given = given();
        given.accept(1, 600).await;
        given.clock.advance(3 * DAY);
        given.accept(2, 600).await;
        assert!(given.refuses().await);
        given.clock.advance(6 * DAY);
        assert!(!given.refuses().await);
        given.accept(3, 600).await;
        assert!(given.refuses().await);
    }

    #[tokio::test]
    async fn what_waits_is_read_from_its_beginning_however_long_ago_it_was_accepted() {
        let given = given();
        let name = QueueName {
            lane: Lane::Run,
            priority: Priority::Normal,
            pool: "core".parse().unwrap(),
        };
        let put = |count| {
            for _ in 0..count {
                given.store.put_raw("ledger.elsewhere", "hi");
            }
        };
        given.accept(1, 1).await;
        put(2);
        given.accept(2, 1).await;
        put(LOOK_BACK_MAX);
        let last = given.ledger.last_sequence().await.unwrap();
        let first = async |status| first_unended(&given.ledger, &name, status, last).await.unwrap();
        let status = |waiting| QueueStatus {
            backlog: Backlog { waiting, held: 0 },
            ack_wait: Duration::from_secs(30),
            acknowledged: 1,
            delivered: 1,
        };
        assert_eq!(first(Some(status(1))).await, 4);
        assert_eq!(first(Some(status(0))).await, last + 1);
        assert_eq!(first(None).await, last - LOOK_BACK_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_of_a_newer_form_takes_nothing_from_what_is_counted() {
        let given = given();
        given.accept(1, 600).await;
        let first = ledger::EventStore::get(given.store.as_ref(), 1).await.unwrap().unwrap();
        let newer = String::from_utf8(first.payload.to_vec()).unwrap();
        given.store.put_raw(&first.subject, newer.replace("accepted:2\"", "accepted:3\""));
        given.accept(2, 600).await;
        assert!(given.refuses().await);
    }
}
