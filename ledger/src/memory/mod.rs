//! Stores in memory with the semantics of the real ones, and faults on demand. For tests; nothing
//! here is durable.

mod objects;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use events::testing::LEDGER;
use events::{Clock, Digest, LedgerId, LedgerPosition};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;

use crate::error::Fault;
use crate::store::{
    Ack, EventStore, Expected, LedgerExtent, MESSAGE_BYTES_MAX, Message, Publication, PublishError,
    SUBJECT_MESSAGES_MAX, StorageUsage,
};

pub use objects::MemoryObjects;

/// What happens to one publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It is stored, and the answer is lost.
    AnswerLost,
    /// It never arrives, and no answer comes.
    RequestLost,
    /// It is refused because another write is on its way.
    InFlight,
    /// No server takes it.
    Away,
    /// The stream has no room.
    Full,
}

/// Which check comes first when a stored message is published again (they differ on real servers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// The expected sequence, as on a single server: a repeated message is "wrong last sequence".
    #[default]
    SequenceFirst,
    /// The message id, as on a stream with replicas: a repeated message is a duplicate.
    IdFirst,
}

/// The store, of the ledger [`LEDGER`]. Clones of its `Arc` see one stream.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    checks: Checks,
    bytes_max: u64,
    state: Arc<Mutex<State>>,
    seen: watch::Sender<Seen>,
}

/// What wakes a follower.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    last_sequence: u64,
    /// How often the connection was made.
    connections: u64,
}

#[derive(Debug)]
struct State {
    ledger: Option<LedgerId>,
    messages: BTreeMap<u64, Message>,
    by_subject: HashMap<String, Vec<u64>>,
    by_id: HashMap<String, u64>,
    last_sequence: u64,
    bytes: u64,
    mishaps: VecDeque<Mishap>,
    away: bool,
    reads: u64,
}

impl MemoryStore {
    /// Makes an empty store that stamps messages by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            checks: Checks::default(),
            bytes_max: u64::MAX,
            state: Arc::new(Mutex::new(State::of(LEDGER))),
            seen: watch::Sender::default(),
        }
    }

    /// Sets which check comes first.
    #[must_use]
    pub fn with_checks(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    /// Sets how many bytes of payload it holds.
    #[must_use]
    pub fn with_bytes_max(self, bytes_max: u64) -> Self {
        Self { bytes_max, ..self }
    }

    /// Lets this happen to the next publishes, in this order.
    pub fn arrange(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        self.state().mishaps.extend(mishaps);
    }

    /// Answers nothing until it is told to come back.
    pub fn go_away(&self, away: bool) {
        self.state().away = away;
    }

    /// Returns how often it was asked for a message.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Makes it the store of another ledger, or of none.
    pub fn replace(&self, ledger: Option<LedgerId>) {
        self.state().ledger = ledger;
        self.reconnect();
    }

    /// Sets it back to its first messages, as a store that was restored from a copy.
    pub fn set_back(&self, last_sequence: u64) {
        let mut state = self.state();
        let kept = std::mem::replace(&mut *state, State::of(LEDGER));
        let (ledger, away) = (kept.ledger, kept.away);
        for (_, message) in kept.messages.into_iter().take_while(|(at, _)| *at <= last_sequence) {
            state.store(message);
        }
        (state.ledger, state.away) = (ledger, away);
        drop(state);
        self.reconnect();
    }

    /// Removes its first messages, as an archive does that has taken them over.
    pub fn archive(&self, first_sequence: u64) {
        self.state().messages.retain(|sequence, _| *sequence >= first_sequence);
        self.reconnect();
    }

    /// Breaks the connections of all followers.
    pub fn reconnect(&self) {
        self.seen.send_modify(|seen| seen.connections += 1);
    }

    /// Returns where a reader stands that has read everything up to `sequence`.
    pub fn position_at(&self, sequence: u64) -> Option<LedgerPosition> {
        let state = self.state();
        let digest = Digest::of(&state.messages.get(&sequence)?.payload);
        Some(LedgerPosition { ledger: state.ledger?, sequence, digest })
    }

    /// Removes a message, which no real store allows: for tests of readers that must notice it.
    pub fn remove(&self, sequence: u64) {
        self.state().messages.remove(&sequence);
    }

    /// Stores bytes that no writer of ours would write: for tests of readers that must refuse
    /// them.
    pub fn put_raw(&self, subject: &str, payload: impl Into<bytes::Bytes>) -> u64 {
        let message = Message {
            subject: subject.to_owned(),
            sequence: 0,
            stored_at: self.clock.now(),
            id: None,
            payload: payload.into(),
        };
        let sequence = self.state().store(message);
        self.seen.send_modify(|seen| seen.last_sequence = sequence);
        sequence
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a read, and lets it see the stream.
    fn read(&self) -> Result<MutexGuard<'_, State>, Fault> {
        let mut state = self.state();
        state.reads += 1;
        state.is_there()?;
        Ok(state)
    }

    /// Runs the checks in the order of the kind of stream that this one stands for.
    fn check(&self, state: &State, publication: &Publication) -> Result<Option<Ack>, PublishError> {
        if publication.payload.len() > MESSAGE_BYTES_MAX as usize {
            return Err(PublishError::TooLarge);
        }
        let known = state.by_id.get(&publication.id);
        let duplicate = known.map(|sequence| Ack { sequence: *sequence, duplicate: true });
        // With replicas the leader asks its table of ids before it proposes the message.
        if duplicate.is_some() && self.checks == Checks::IdFirst {
            return Ok(duplicate);
        }
        if !state.holds(publication) {
            return Err(PublishError::WrongLast);
        }
        if duplicate.is_some() {
            return Ok(duplicate);
        }
        if state.bytes + publication.payload.len() as u64 > self.bytes_max {
            return Err(PublishError::Full);
        }
        let on_subject = state.by_subject.get(&publication.subject).map_or(0, Vec::len);
        if on_subject >= SUBJECT_MESSAGES_MAX as usize {
            return Err(PublishError::SubjectFull);
        }
        Ok(None)
    }

    fn offer(&self, publication: &Publication) -> Result<Ack, PublishError> {
        let mut state = self.state();
        if let Some(duplicate) = self.check(&state, publication)? {
            return Ok(duplicate);
        }
        let sequence = state.store(Message {
            subject: publication.subject.clone(),
            sequence: 0,
            stored_at: self.clock.now(),
            id: Some(publication.id.clone()),
            payload: publication.payload.clone(),
        });
        // Released first: a woken follower takes this lock at once.
        drop(state);
        self.seen.send_modify(|seen| seen.last_sequence = sequence);
        Ok(Ack { sequence, duplicate: false })
    }
}

impl State {
    fn of(ledger: LedgerId) -> Self {
        Self {
            ledger: Some(ledger),
            messages: BTreeMap::new(),
            by_subject: HashMap::new(),
            by_id: HashMap::new(),
            last_sequence: 0,
            bytes: 0,
            mishaps: VecDeque::new(),
            away: false,
            reads: 0,
        }
    }

    fn is_there(&self) -> Result<(), Fault> {
        if self.away { Err("it is away".into()) } else { Ok(()) }
    }

    fn store(&mut self, mut message: Message) -> u64 {
        self.last_sequence += 1;
        message.sequence = self.last_sequence;
        self.bytes += message.payload.len() as u64;
        self.by_subject.entry(message.subject.clone()).or_default().push(message.sequence);
        if let Some(id) = &message.id {
            self.by_id.insert(id.clone(), message.sequence);
        }
        self.messages.insert(message.sequence, message);
        self.last_sequence
    }

    fn holds(&self, publication: &Publication) -> bool {
        match &publication.expected {
            Expected::Last(last) => {
                let sequences = self.by_subject.get(&publication.subject);
                sequences.and_then(|all| all.last()).copied().unwrap_or(0) == *last
            }
            Expected::LastMatching { filter, last } => {
                self.last(filter).map_or(0, |message| message.sequence) == *last
            }
        }
    }

    fn last(&self, filter: &str) -> Option<Message> {
        let matching = self.by_subject.iter().filter(|(subject, _)| matches(filter, subject));
        let last = matching.filter_map(|(_, sequences)| sequences.last()).max()?;
        self.messages.get(last).cloned()
    }

    fn next(&self, filter: &str, from: u64) -> Option<Message> {
        let matching = self.by_subject.iter().filter(|(subject, _)| matches(filter, subject));
        let behind = matching.flat_map(|(_, sequences)| sequences).filter(|at| **at >= from);
        self.messages.get(behind.min()?).cloned()
    }
}

/// Tells whether a subject matches a filter with `*` and `>`.
fn matches(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            (_, _) => return false,
        }
    }
    tokens.next().is_none()
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError> {
        let mishap = {
            let mut state = self.state();
            // The harsher of the two answers: a writer must cope with not knowing.
            state.is_there().map_err(PublishError::Unknown)?;
            state.mishaps.pop_front()
        };
        match mishap {
            None => self.offer(publication),
            Some(Mishap::AnswerLost) => {
                // A refusal goes to the caller as it is: nothing was stored whose answer could be
                // lost.
                self.offer(publication)?;
                Err(PublishError::Unknown("the answer was lost".into()))
            }
            Some(Mishap::RequestLost) => Err(PublishError::Unknown("the request was lost".into())),
            Some(Mishap::InFlight) => Err(PublishError::InFlight),
            Some(Mishap::Away) => Err(PublishError::Away("no server is there".into())),
            Some(Mishap::Full) => Err(PublishError::Full),
        }
    }

    async fn last(&self, filter: &str) -> Result<Option<Message>, Fault> {
        Ok(self.read()?.last(filter))
    }

    async fn next(&self, filter: &str, from: u64) -> Result<Option<Message>, Fault> {
        Ok(self.read()?.next(filter, from))
    }

    async fn get(&self, sequence: u64) -> Result<Option<Message>, Fault> {
        Ok(self.read()?.messages.get(&sequence).cloned())
    }

    async fn usage(&self) -> Result<StorageUsage, Fault> {
        let state = self.read()?;
        let first = state.messages.first_key_value().map(|(first, _)| *first);
        Ok(StorageUsage {
            bytes: state.bytes,
            bytes_max: self.bytes_max,
            messages: state.messages.len() as u64,
            first_sequence: first.unwrap_or(state.last_sequence + 1),
            last_sequence: state.last_sequence,
        })
    }

    async fn extent(&self) -> Result<LedgerExtent, Fault> {
        let state = self.read()?;
        let first = state.messages.first_key_value().map(|(first, _)| *first);
        Ok(LedgerExtent {
            ledger: state.ledger,
            first_sequence: first.unwrap_or(state.last_sequence + 1),
            last_sequence: state.last_sequence,
        })
    }

    fn follow(&self, from: u64) -> BoxStream<'static, Result<Message, Fault>> {
        let seen = self.seen.subscribe();
        let connection = seen.borrow().connections;
        let start = (Arc::clone(&self.state), seen, from);
        stream::unfold(Some(start), move |start| async move {
            let (state, mut seen, from) = start?;
            loop {
                // Marked before the look, so that a message that is stored in between wakes us.
                if seen.borrow_and_update().connections != connection {
                    return Some((Err("the connection was made anew".into()), None));
                }
                let found = {
                    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.messages.range(from..).next().map(|(_, message)| message.clone())
                };
                if let Some(message) = found {
                    let next = message.sequence + 1;
                    return Some((Ok(message), Some((state, seen, next))));
                }
                seen.changed().await.ok()?;
            }
        })
        .boxed()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("checks", &self.checks)
            .field("seen", &*self.seen.borrow())
            .finish_non_exhaustive()
    }
}
