//! Checking a submission's history: the hash chain, the context of every event, and legality. Pure.

use events::envelope::Predecessor;
use events::subject::Family;
use events::submission::apply;
use events::{Digest, Event, EventId, Fold, Subject};

use crate::entry::Stored;

/// A fault of a history. Each names the sequence of the event that shows it: what that event names,
/// and what it must name.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum ChainFault {
    /// The event names another predecessor than the event before it.
    #[error("sequence {sequence}: the previous hash is {named:?}, and must be {must:?}")]
    Previous { sequence: u64, named: Option<Digest>, must: Option<Digest> },
    /// The event names another cause than the event before it.
    #[error("sequence {sequence}: the cause is {named:?}, and must be {must:?}")]
    Causation { sequence: u64, named: Option<EventId>, must: Option<EventId> },
    /// The event belongs to another chain.
    #[error("sequence {sequence}: the correlation is {named}, and must be {must}")]
    Correlation { sequence: u64, named: EventId, must: EventId },
    /// The bytes are not those that were hashed.
    #[error("sequence {sequence}: the bytes do not have the digest that is given")]
    Digest { sequence: u64 },
    /// Sequences do not grow.
    #[error("sequence {sequence} comes after sequence {before}")]
    Order { sequence: u64, before: u64 },
    /// The event is of another submission, or under another subject than its place in the history
    /// asks for.
    #[error("sequence {sequence}: it stands under a subject that is not its own")]
    Subject { sequence: u64 },
    /// The event may not follow those before it.
    #[error("sequence {sequence}: it may not follow the events before it")]
    Illegal { sequence: u64 },
}

/// Checks every event of one submission, as [`crate::Ledger::history`] gives them. Empty when all
/// is well.
pub fn verify_chain(history: &[Stored]) -> Vec<ChainFault> {
    let mut faults = Vec::new();
    let mut fold = Fold::default();
    let mut before: Option<&Stored> = None;
    for stored in history {
        check_place(&mut faults, history, before, stored);
        check_links(&mut faults, before.map(|stored| stored.recorded.as_predecessor()), stored);
        let violations = fold.violations;
        fold = apply(fold, &stored.recorded);
        // The fold counts an illegal event and goes on, so that one fault does not hide the next.
        if fold.violations > violations {
            faults.push(ChainFault::Illegal { sequence: stored.recorded.sequence });
        }
        before = Some(stored);
    }
    faults
}

fn check_place(
    faults: &mut Vec<ChainFault>,
    history: &[Stored],
    before: Option<&Stored>,
    stored: &Stored,
) {
    let sequence = stored.recorded.sequence;
    let family = if before.is_none() { Family::Submission } else { Family::Outcome };
    let must = history.first().map(|first| first.subject.in_family(family));
    if must.as_ref() != Some(&stored.subject) || !is_at_home(stored) {
        faults.push(ChainFault::Subject { sequence });
    }
    let before = before.map(|before| before.recorded.sequence);
    // Sequences of one submission have gaps, since all submissions share one stream.
    if let Some(before) = before.filter(|before| *before >= sequence) {
        faults.push(ChainFault::Order { sequence, before });
    }
    // Hashed anew, since a wrong digest here could close a forged chain.
    if Digest::of(&stored.payload) != stored.recorded.digest {
        faults.push(ChainFault::Digest { sequence });
    }
}

/// Tells whether an event says itself that it belongs under its subject.
fn is_at_home(stored: &Stored) -> bool {
    let Subject { lane, priority, pool, id, family: _ } = &stored.subject;
    let queue = match &stored.recorded.envelope.event {
        Event::Accepted(accepted) => {
            (accepted.lane, accepted.priority, &accepted.pool) == (*lane, *priority, pool)
        }
        _later => true,
    };
    stored.recorded.envelope.submission == *id && queue
}

fn check_links(faults: &mut Vec<ChainFault>, before: Option<Predecessor>, stored: &Stored) {
    let sequence = stored.recorded.sequence;
    let envelope = &stored.recorded.envelope;
    let previous = before.map(|before| before.digest);
    if envelope.previous != previous {
        faults.push(ChainFault::Previous { sequence, named: envelope.previous, must: previous });
    }
    let cause = before.map(|before| before.id);
    if envelope.causation != cause {
        faults.push(ChainFault::Causation { sequence, named: envelope.causation, must: cause });
    }
    // The first event of a submission begins its own chain.
    let correlation = before.map_or(envelope.id, |before| before.correlation);
    if envelope.correlation != correlation {
        let named = envelope.correlation;
        faults.push(ChainFault::Correlation { sequence, named, must: correlation });
    }
}
