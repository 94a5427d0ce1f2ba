//! Following the ledger from a position on: in order, without a hole, for ever. Before anything is
//! read over a new connection, the ledger is compared with what was read from it before.

use std::error::Error;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use events::{Digest, LedgerId, LedgerPosition};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::time::{Instant, timeout};

use crate::entry::{Followed, LedgerEntry};
use crate::error::{Fault, FollowError, HistoryDiffers, ReadError};
use crate::jetstream::PULL_MESSAGES_MAX;
use crate::ledger::Ledger;
use crate::metrics;
use crate::read::retried;
use crate::retry::{PATIENT, Waits};
use crate::store::{EventStore, LedgerExtent, Message, STALE_LEADER_TIME};

/// How often a ledger that seems to differ is asked again.
const LOOKS: u32 = 3;

/// How long nothing may come before it is looked whether there is something.
// A message whose headers hold a status is swallowed by the client, so silence may mean that one
// waits.
const SILENCE: Duration = Duration::from_secs(5);
/// How late a message may be that the store has.
const LATE_MAX: Duration = Duration::from_millis(500);
/// How many messages are read one by one after a connection that brought none.
// More than a consumer has on its way: none of them arrives when one breaks the connection.
const READ_SINGLY: usize = 2 * PULL_MESSAGES_MAX;

/// One entry, or why there are no more.
type Item = Result<Followed, FollowError>;

impl Ledger {
    /// Yields everything behind `after`, for ever; from the first message on if there is none.
    ///
    /// Restarts of the server are waited out. An error is the last item.
    pub fn follow(&self, after: Option<LedgerPosition>) -> BoxStream<'static, Item> {
        let (store, waits) = (Arc::clone(&self.store), Waits::of(PATIENT));
        let follower = FollowState { store, last: after, open: None, has_come: true, waits };
        stream::unfold(Some(follower), |follower| async move {
            let mut follower = follower?;
            let item = follower.next().await;
            // To go on behind a hole would fold events whose predecessors are gone, and no later
            // event could show it.
            let rest = item.is_ok().then_some(follower);
            Some((item, rest))
        })
        .boxed()
    }

    /// Tells which ledger this is, if it still has what was read from it. Waits for a server that
    /// is away.
    pub async fn confirm(&self, after: Option<LedgerPosition>) -> Result<LedgerId, HistoryDiffers> {
        compare(self.store.as_ref(), after).await
    }

    /// Returns where a reader stands that has read everything; nothing if there is nothing to read.
    pub async fn end(&self) -> Result<Option<LedgerPosition>, ReadError> {
        let LedgerExtent { last_sequence, .. } = retried(|| self.store.extent()).await?;
        self.position_at(last_sequence).await
    }

    /// Returns where a reader stands that has read everything up to `sequence`; nothing if the
    /// ledger has no message there.
    pub async fn position_at(&self, sequence: u64) -> Result<Option<LedgerPosition>, ReadError> {
        retried(|| position_at(self.store.as_ref(), sequence)).await
    }
}

/// A reader, and what it keeps on the server.
struct FollowState {
    store: Arc<dyn EventStore>,
    last: Option<LedgerPosition>,
    open: Option<OpenHistory>,
    /// Whether the last connection brought anything.
    has_come: bool,
    waits: Waits,
}

/// The messages behind a position, over one connection.
struct OpenHistory {
    ledger: LedgerId,
    messages: BoxStream<'static, Result<Message, Fault>>,
    /// Whether they are read one by one, and not delivered.
    is_read_singly: bool,
}

impl FollowState {
    async fn next(&mut self) -> Item {
        let next = self.next_sequence();
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open().await?,
            };
            let lost = match next_message(self.store.as_ref(), next, &mut open.messages).await {
                Ok(message) => {
                    // A message ends the outage, so the next outage begins with short waits.
                    (self.has_come, self.waits) = (true, Waits::of(PATIENT));
                    if open.is_read_singly {
                        // Single reads outlive a connection, and what they told may be of another
                        // history.
                        compare(self.store.as_ref(), self.last).await?;
                    }
                    let followed = self.take(open.ledger, message)?;
                    self.open = Some(open);
                    return Ok(followed);
                }
                Err(fault) => fault,
            };
            self.note(lost.as_ref());
            self.waits.wait().await;
        }
    }

    async fn open(&mut self) -> Result<OpenHistory, HistoryDiffers> {
        let next = self.next_sequence();
        // Made before the comparison, and read after it: a connection that breaks in between ends
        // it, and the next one is compared again.
        let messages = self.store.follow(next);
        let ledger = compare(self.store.as_ref(), self.last).await?;
        let is_stuck = !std::mem::replace(&mut self.has_come, false);
        // A fault counts as yes: the read that follows meets it again, and it is told.
        let is_read_singly = is_stuck && has(self.store.as_ref(), next).await.unwrap_or(true);
        let messages =
            if is_read_singly { read_singly(Arc::clone(&self.store), next) } else { messages };
        Ok(OpenHistory { ledger, messages, is_read_singly })
    }

    fn note(&self, error: &(dyn Error + 'static)) {
        tracing::warn!(error, ledger.next = self.next_sequence(), "following the ledger anew");
        metrics::follow_restarted();
    }

    fn take(&mut self, ledger: LedgerId, message: Message) -> Item {
        let (expected, found) = (self.next_sequence(), message.sequence);
        if found != expected {
            return Err(FollowError::Hole { expected, found });
        }
        let entry = LedgerEntry::read(message)?;
        let position = LedgerPosition { ledger, sequence: found, digest: entry.digest() };
        self.last = Some(position);
        Ok(Followed { position, entry })
    }

    fn next_sequence(&self) -> u64 {
        self.last.map_or(0, |last| last.sequence) + 1
    }
}

/// Waits for the message at `sequence`, and looks for itself when nothing comes for long.
async fn next_message(
    store: &dyn EventStore,
    sequence: u64,
    messages: &mut BoxStream<'static, Result<Message, Fault>>,
) -> Result<Message, Fault> {
    loop {
        if let Ok(item) = timeout(SILENCE, messages.next()).await {
            return item.unwrap_or_else(|| Err("the store has ended".into()));
        }
        if has(store, sequence).await? {
            // It may have been on its way.
            let late = timeout(LATE_MAX, messages.next()).await.ok().flatten();
            return late.unwrap_or_else(|| Err("a message does not come".into()));
        }
    }
}

async fn has(store: &dyn EventStore, sequence: u64) -> Result<bool, Fault> {
    Ok(store.get(sequence).await?.is_some())
}

/// Reads what is there from `from` on without a consumer. A message that the client cannot take as
/// a delivery would stop its reader for ever.
fn read_singly(
    store: Arc<dyn EventStore>,
    from: u64,
) -> BoxStream<'static, Result<Message, Fault>> {
    stream::iter(from..)
        .take(READ_SINGLY)
        .then(move |sequence| {
            let store = Arc::clone(&store);
            async move { store.get(sequence).await.transpose() }
        })
        .take_while(|read| ready(read.is_some()))
        .filter_map(ready)
        .boxed()
}

/// Refuses a ledger that does not have what was read from it. Waits for a server that is away.
pub(crate) async fn compare(
    store: &dyn EventStore,
    after: Option<LedgerPosition>,
) -> Result<LedgerId, HistoryDiffers> {
    let mut waits = Waits::of(PATIENT);
    let mut looks = 0;
    let mut differs_since = None;
    loop {
        match look(store, after).await {
            Ok(Ok(ledger)) => return Ok(ledger),
            Ok(Err(differs)) => {
                let since = *differs_since.get_or_insert_with(Instant::now);
                // Not at the first look: a leader that was just elected may not have everything
                // yet.
                if looks >= LOOKS && since.elapsed() >= believed_after(&differs) {
                    metrics::history_differs(&differs);
                    return Err(differs);
                }
                looks += 1;
            }
            // A server that was away says nothing about the ledger, and another one may come back.
            Err(fault) => {
                (looks, differs_since) = (0, None);
                let error: &(dyn Error + 'static) = fault.as_ref();
                tracing::warn!(error, "the ledger does not answer");
            }
        }
        waits.wait().await;
    }
}

/// Returns how long a ledger must seem to differ. A leader that was cut off has less than was read,
/// and no other id.
const fn believed_after(differs: &HistoryDiffers) -> Duration {
    match differs {
        HistoryDiffers::SetBack { .. } | HistoryDiffers::Rewritten { .. } => STALE_LEADER_TIME,
        HistoryDiffers::Replaced { .. }
        | HistoryDiffers::NoLedgerId
        | HistoryDiffers::Archived { .. } => Duration::ZERO,
    }
}

/// Returns where a reader stands that has read everything up to `sequence`.
pub(crate) async fn position_at(
    store: &dyn EventStore,
    sequence: u64,
) -> Result<Option<LedgerPosition>, Fault> {
    let LedgerExtent { ledger, .. } = store.extent().await?;
    let found = store.get(sequence.max(1)).await?;
    let found = found.filter(|message| message.sequence == sequence);
    Ok(ledger.zip(found).map(|(ledger, message)| {
        let digest = Digest::of(&message.payload);
        LedgerPosition { ledger, sequence, digest }
    }))
}

/// Asks the leader once whether it has what was read.
async fn look(
    store: &dyn EventStore,
    after: Option<LedgerPosition>,
) -> Result<Result<LedgerId, HistoryDiffers>, Fault> {
    let LedgerExtent { ledger, first_sequence: first, last_sequence: last } =
        store.extent().await?;
    let Some(found) = ledger else { return Ok(Err(HistoryDiffers::NoLedgerId)) };
    let Some(LedgerPosition { ledger: read, sequence, digest }) = after else {
        let archived = HistoryDiffers::Archived { read: 0, first };
        return Ok(if first > 1 { Err(archived) } else { Ok(found) });
    };
    if read != found {
        return Ok(Err(HistoryDiffers::Replaced { read, found }));
    }
    if last < sequence {
        return Ok(Err(HistoryDiffers::SetBack { read: sequence, last }));
    }
    // What stood at the position cannot be compared any more.
    if sequence < first {
        return Ok(Err(HistoryDiffers::Archived { read: sequence, first }));
    }
    let message = store.get(sequence).await?;
    let is_same = message.is_some_and(|message| Digest::of(&message.payload) == digest);
    Ok(if is_same { Ok(found) } else { Err(HistoryDiffers::Rewritten { sequence }) })
}
