//! Following the ledger from a sequence on: in order, without a hole, for ever.

use std::error::Error;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use crate::aggregate::Stored;
use crate::error::FollowError;
use crate::ledger::Ledger;
use crate::retry::{PATIENT, Waits};
use crate::store::{EventStore, Message};

/// How often a ledger that seems too short is asked again.
const LOOKS: u32 = 3;

/// One event, or why there are no more.
type Item = Result<Stored, FollowError>;

impl Ledger {
    /// Yields every event from `from` on (0 and 1 both mean the first), for ever.
    ///
    /// Restarts of the server are waited out. An error is the last item.
    pub fn follow(&self, from: u64) -> BoxStream<'static, Item> {
        let start = FollowState::Begin(Arc::clone(&self.store), from.max(1));
        stream::unfold(start, FollowState::next).boxed()
    }
}

/// Where a follower stands.
enum FollowState {
    Begin(Arc<dyn EventStore>, u64),
    /// With the sequence that must come.
    Going(BoxStream<'static, Message>, u64),
    Ended,
}

impl FollowState {
    async fn next(self) -> Option<(Item, Self)> {
        let (mut messages, expected) = match self {
            Self::Begin(store, from) => {
                if let Err(error) = not_set_back(store.as_ref(), from).await {
                    return Some((Err(error), Self::Ended));
                }
                (store.follow(from), from)
            }
            Self::Going(messages, expected) => (messages, expected),
            Self::Ended => return None,
        };
        // An error ends the stream: to go on behind a hole would fold events whose predecessors are
        // gone, and no later event could show it.
        let item = check(expected, messages.next().await?);
        let rest = if item.is_ok() { Self::Going(messages, expected + 1) } else { Self::Ended };
        Some((item, rest))
    }
}

/// Refuses to go on after what the ledger does not have. Waits for a server that is away.
async fn not_set_back(store: &dyn EventStore, from: u64) -> Result<(), FollowError> {
    let mut waits = Waits::of(PATIENT);
    let mut looks = 0;
    loop {
        match store.usage().await.map(|usage| usage.last_sequence) {
            // One past the end is where a reader that has seen everything goes on.
            Ok(last) if from <= last + 1 => return Ok(()),
            // Not at the first look: a leader that was just elected may not have everything yet.
            Ok(last) if looks == LOOKS => {
                return Err(FollowError::SetBack { read: from - 1, last });
            }
            Ok(_) => looks += 1,
            // Not counted as a look: a server that is away says nothing about the ledger's length.
            Err(fault) => {
                let error: &(dyn Error + 'static) = fault.as_ref();
                tracing::warn!(error, ledger.next = from, "the ledger does not answer");
            }
        }
        waits.wait().await;
    }
}

/// Compares a message with the sequence that must come.
fn check(expected: u64, message: Message) -> Item {
    if message.sequence != expected {
        return Err(FollowError::Hole { expected, found: message.sequence });
    }
    Ok(Stored::read(message)?)
}
