//! Following the ledger from a sequence on: in order, without a hole, for ever.

use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use tokio::task::unconstrained;

use crate::Ledger;
use crate::aggregate::Stored;
use crate::backoff::Backoff;
use crate::read::ReadError;
use crate::store::{EventStore, Message};

/// How often a ledger that seems too short is looked at again.
const LOOKS: u32 = 3;

/// Why a follower must stop. Neither is mended by trying again.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Sequences are contiguous; one that is missing was removed, and everything after it is in doubt.
    #[error("the ledger has a hole: sequence {found} comes where {expected} had to come")]
    Hole {
        /// The sequence that had to come.
        expected: u64,
        /// The sequence that came.
        found: u64,
    },
    /// The ledger ends before what was read from it: it was set back, and what was read is not what it says now.
    #[error("the ledger ends at sequence {last}, and {read} was read from it")]
    SetBack {
        /// The last sequence that was read.
        read: u64,
        /// The last sequence that there is.
        last: u64,
    },
    /// A message that is no event that this program knows.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// One event, or why there are no more.
type Item = Result<Stored, FollowError>;
/// Some events, or why there are no more.
type Batch = Result<Vec<Stored>, FollowError>;

impl Ledger {
    /// Yields every event from `from` on (0 and 1 both mean the first), for ever.
    ///
    /// Restarts of the server are waited out. An error is the last item.
    pub fn follow(&self, from: u64) -> BoxStream<'static, Item> {
        let start = Stage::Begin(Arc::clone(&self.store), from.max(1));
        stream::unfold(start, Stage::step).boxed()
    }

    /// As [`Ledger::follow`], in batches of what is ready: at least one event, at most `batch_max`.
    pub fn follow_batches(&self, from: u64, batch_max: usize) -> BoxStream<'static, Batch> {
        batches(self.follow(from), batch_max)
    }

    /// As [`Ledger::follow_batches`], and ends after the event at `last`.
    pub fn follow_until(
        &self,
        from: u64,
        last: u64,
        batch_max: usize,
    ) -> BoxStream<'static, Batch> {
        let count = (last + 1).saturating_sub(from.max(1));
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        batches(self.follow(from).take(count).boxed(), batch_max)
    }
}

/// Where a follower stands.
enum Stage {
    Begin(Arc<dyn EventStore>, u64),
    /// With the sequence that must come.
    Going(BoxStream<'static, Message>, u64),
    Ended,
}

impl Stage {
    async fn step(self) -> Option<(Item, Self)> {
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
        let item = check(expected, messages.next().await?);
        let rest = if item.is_ok() { Self::Going(messages, expected + 1) } else { Self::Ended };
        Some((item, rest))
    }
}

/// Refuses to go on after what the ledger does not have. Waits for a server that is away.
async fn not_set_back(store: &dyn EventStore, from: u64) -> Result<(), FollowError> {
    let mut backoff = Backoff::patient();
    let mut looks = 0;
    loop {
        match store.usage().await.map(|usage| usage.last_sequence) {
            Ok(last) if from <= last + 1 => return Ok(()),
            // A leader that has just been elected may not have everything yet.
            Ok(last) if looks == LOOKS => {
                return Err(FollowError::SetBack { read: from - 1, last });
            }
            Ok(_) => looks += 1,
            Err(fault) => {
                let error: &(dyn std::error::Error + 'static) = fault.as_ref();
                tracing::warn!(error, ledger.next = from, "the ledger does not answer");
            }
        }
        backoff.wait().await;
    }
}

/// Holds a message against the sequence that must come.
fn check(expected: u64, message: Message) -> Item {
    if message.sequence != expected {
        return Err(FollowError::Hole { expected, found: message.sequence });
    }
    Ok(Stored::read(message)?)
}

fn batches(items: BoxStream<'static, Item>, max: usize) -> BoxStream<'static, Batch> {
    stream::unfold(Some((items, None)), move |state| async move {
        let (mut items, failed) = state?;
        if let Some(error) = failed {
            return Some((Err(error), None));
        }
        match items.next().await? {
            Ok(first) => {
                let (batch, failed) = gather(&mut items, first, max);
                Some((Ok(batch), Some((items, failed))))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// Takes what is ready now, and the error that may stand behind it.
fn gather(
    items: &mut BoxStream<'static, Item>,
    first: Stored,
    max: usize,
) -> (Vec<Stored>, Option<FollowError>) {
    let mut batch = vec![first];
    while batch.len() < max {
        // Unconstrained, since the runtime's budget would end every batch after some hundred events.
        match unconstrained(items.next()).now_or_never().flatten() {
            Some(Ok(stored)) => batch.push(stored),
            Some(Err(error)) => return (batch, Some(error)),
            None => break,
        }
    }
    (batch, None)
}
