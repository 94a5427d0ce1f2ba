//! The submissions of a pool that have no end yet, as the ledger tells it. Pure.

use std::collections::{BTreeMap, HashMap};

use events::{Event, Lane, PoolName, QueueName, Subject, SubmissionId, Timestamp};
use ledger::Stored;

/// What has not ended, up to a position in the ledger.
#[derive(Debug)]
pub(super) struct Unsettled {
    pool: PoolName,
    position: u64,
    /// By the sequence of the accepted event.
    open: BTreeMap<u64, OpenSubmission>,
    accepted_at: HashMap<SubmissionId, u64>,
}

/// A submission without an end.
#[derive(Clone, Debug)]
pub(super) struct OpenSubmission {
    pub(super) accepted_sequence: u64,
    pub(super) subject: Subject,
    accepted_at: Timestamp,
    last_event_at: Timestamp,
}

impl OpenSubmission {
    pub(super) fn queue(&self) -> QueueName {
        let Subject { family: _, lane, priority, pool, id: _ } = self.subject.clone();
        QueueName { lane, priority, pool }
    }
}

impl Unsettled {
    /// Begins after a position, up to which everything has ended.
    pub(super) fn after(position: u64, pool: PoolName) -> Self {
        Self { pool, position, open: BTreeMap::new(), accepted_at: HashMap::new() }
    }

    /// Takes in the next event of the ledger.
    pub(super) fn take_in(&mut self, stored: &Stored) {
        let (subject, recorded) = (&stored.subject, &stored.recorded);
        self.position = recorded.sequence;
        if subject.pool != self.pool {
            return;
        }
        let event = &recorded.envelope.event;
        if matches!(event, Event::Accepted(_)) {
            let open = OpenSubmission {
                accepted_sequence: recorded.sequence,
                subject: subject.clone(),
                accepted_at: recorded.stored_at,
                last_event_at: recorded.stored_at,
            };
            self.open.insert(recorded.sequence, open);
            self.accepted_at.insert(subject.id, recorded.sequence);
        } else if event.is_terminal() {
            if let Some(sequence) = self.accepted_at.remove(&subject.id) {
                self.open.remove(&sequence);
            }
        } else if let Some(sequence) = self.accepted_at.get(&subject.id)
            && let Some(open) = self.open.get_mut(sequence)
        {
            open.last_event_at = recorded.stored_at;
        }
    }

    /// Returns the sequence of the last event that was taken in.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Returns the sequence up to which everything has ended.
    pub(super) fn floor(&self) -> u64 {
        self.open.first_key_value().map_or(self.position, |(accepted, _)| accepted - 1)
    }

    /// Returns when the oldest one of a lane was accepted.
    pub(super) fn oldest(&self, lane: Lane) -> Option<Timestamp> {
        let open = self.open.values().find(|open| open.subject.lane == lane)?;
        Some(open.accepted_at)
    }

    /// Yields those of which nothing was heard since `then`, in a circle that begins after a
    /// sequence, so that each has its turn.
    pub(super) fn silent_since(
        &self,
        then: Timestamp,
        after: u64,
    ) -> impl Iterator<Item = &OpenSubmission> {
        let circle = self.open.range(after + 1..).chain(self.open.range(..=after));
        circle.map(|(_, open)| open).filter(move |open| open.last_event_at <= then)
    }
}
