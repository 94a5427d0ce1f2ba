//! The submissions of a pool that have no end yet, as the ledger tells it. Pure.

use std::collections::{BTreeMap, HashMap};

use events::submission::{Lifecycle, advance};
use events::{Lane, LedgerPosition, PoolName, QueueName, Subject, SubmissionId, Timestamp};
use ledger::{Followed, LedgerEntry};

/// What has not ended, up to a position in the ledger.
#[derive(Debug)]
pub(super) struct Unsettled {
    pool: PoolName,
    position: Option<LedgerPosition>,
    /// By the sequence of the accepted event.
    open: BTreeMap<u64, OpenSubmission>,
    accepted_at: HashMap<SubmissionId, u64>,
}

/// A submission without an end.
#[derive(Clone, Debug)]
pub(super) struct OpenSubmission {
    pub(super) accepted_sequence: u64,
    pub(super) subject: Subject,
    lifecycle: Lifecycle,
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
    pub(super) fn after(position: Option<LedgerPosition>, pool: PoolName) -> Self {
        Self { pool, position, open: BTreeMap::new(), accepted_at: HashMap::new() }
    }

    /// Takes in the next entry of the ledger.
    pub(super) fn take_in(&mut self, followed: &Followed) {
        self.position = Some(followed.position);
        let LedgerEntry::Event(stored) = &followed.entry else { return };
        let (subject, recorded) = (&stored.subject, &stored.recorded);
        if subject.pool != self.pool {
            return;
        }
        let known = self.accepted_at.get(&subject.id).copied();
        let before = known.and_then(|sequence| self.open.get(&sequence)).map(|it| it.lifecycle);
        // What the fold ignores ends nothing here either: a submission would be left that never
        // ends.
        let Ok(lifecycle) = advance(before, &recorded.envelope.event) else { return };
        if lifecycle.state.is_terminal() {
            self.forget(subject.id);
        } else if let Some(open) = known.and_then(|sequence| self.open.get_mut(&sequence)) {
            open.lifecycle = lifecycle;
            open.last_event_at = recorded.stored_at;
        } else {
            let open = OpenSubmission {
                accepted_sequence: recorded.sequence,
                subject: subject.clone(),
                lifecycle,
                accepted_at: recorded.stored_at,
                last_event_at: recorded.stored_at,
            };
            self.open.insert(recorded.sequence, open);
            self.accepted_at.insert(subject.id, recorded.sequence);
        }
    }

    /// Forgets a submission that has ended.
    pub(super) fn forget(&mut self, id: SubmissionId) {
        if let Some(sequence) = self.accepted_at.remove(&id) {
            self.open.remove(&sequence);
        }
    }

    /// Returns where the ledger has been read to.
    pub(super) const fn position(&self) -> Option<LedgerPosition> {
        self.position
    }

    /// Returns the sequence of the last entry that was taken in.
    pub(super) fn sequence(&self) -> u64 {
        self.position.map_or(0, |position| position.sequence)
    }

    /// Returns the sequence up to which everything has ended.
    pub(super) fn floor(&self) -> u64 {
        self.open.first_key_value().map_or_else(|| self.sequence(), |(accepted, _)| accepted - 1)
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
