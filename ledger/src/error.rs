//! What goes wrong with the ledger, as its users are told. The errors of a store and of an object
//! store stand with their traits.

use std::error::Error;

use events::envelope::FormError;
use events::subject::SubjectError;
use events::{Rejection, Subject};

/// What goes wrong below us, whatever it is.
pub type Fault = Box<dyn Error + Send + Sync>;

/// The URL cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum ConnectError {
    /// It is not a list of NATS URLs.
    #[error("{url:?} is not a NATS URL")]
    Url { url: String, source: std::io::Error },
    /// The client refuses the options.
    #[error("cannot connect to NATS")]
    Connect(#[from] async_nats::ConnectError),
}

/// Why the ledger must not be used as it is.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum ProvisionError {
    /// The server acknowledges what a power failure can take back.
    #[error(
        "the NATS server at {monitor_url} acknowledges before it syncs: add `sync_interval: always` to the \
         `jetstream {{ … }}` block of its configuration and restart it"
    )]
    NotDurable { monitor_url: String },
    /// The server does not know conditions that span subjects.
    #[error("the NATS server has version {found}, and {min} or later is needed")]
    TooOld { found: String, min: &'static str },
    /// No monitoring address is configured.
    #[error(
        "it cannot be seen whether NATS syncs before it acknowledges: set `[nats] monitor_url` to the monitoring address \
         of every server (`http: 127.0.0.1:8222` in its configuration)"
    )]
    NoMonitor,
    /// Fewer servers were asked than there are.
    #[error(
        "the NATS cluster has {servers} servers and `[nats] monitor_url` names {asked}: name every one"
    )]
    NotAllMonitored { servers: usize, asked: usize },
    /// A monitoring address does not answer as one does.
    #[error("the NATS server's monitoring at {monitor_url} does not answer")]
    Monitor { monitor_url: String, source: Fault },
    /// The stream exists with other settings than ours. To change them could remove what is stored.
    #[error(
        "the stream {stream} exists with other settings: {differences}. If another version of Runledger \
         made it, begin with an empty store"
    )]
    Different {
        stream: String,
        /// Each setting, what it is and what it must be.
        differences: String,
    },
    /// The server does not make the stream.
    #[error("the stream {stream} cannot be made")]
    Create { stream: String, source: Fault },
}

/// Why the ledger could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum ReadError {
    /// The server did not answer in time.
    #[error("the ledger does not answer")]
    Unavailable(#[source] Fault),
    /// A message is not an event that this program knows: stop, and upgrade.
    #[error("the message at sequence {sequence} cannot be read")]
    Form { sequence: u64, source: FormError },
    /// A message stands under a subject that does not belong to a submission.
    #[error("the message at sequence {sequence} has a foreign subject")]
    Subject { sequence: u64, source: SubjectError },
    /// A message speaks of another submission than its subject.
    #[error("the event at sequence {sequence} does not belong under {subject}")]
    WrongSubject { sequence: u64, subject: String },
    /// Another event stands where a submission's accepted event belongs.
    #[error("sequence {sequence} under {subject} is not an accepted event")]
    NotAccepted { sequence: u64, subject: Subject },
}

/// Why an event was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The submission's state forbids it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The ledger has no room. Nothing was stored.
    #[error("the ledger is full")]
    Full,
    /// The submission has as many events as one may have. Nothing was stored.
    #[error("the submission has too many events")]
    SubjectFull,
    /// The event is larger than the server takes. Nothing was stored.
    #[error("the event is too large")]
    TooLarge,
    /// The deadline passed.
    #[error("the ledger did not answer in time")]
    Unavailable {
        /// Whether the event may be stored all the same. Trying the same event again will tell.
        maybe_stored: bool,
        /// The last fault met.
        #[source]
        last: Fault,
    },
    /// The server will never take it. Nothing was stored.
    #[error("the ledger refuses the event")]
    Refused(#[source] Fault),
    /// What stands in the ledger could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a follower must stop. Neither is mended by trying again.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Sequences are contiguous. A missing one was removed, and everything after it is in doubt.
    #[error("the ledger has a hole: sequence {found} comes where {expected} had to come")]
    Hole {
        /// The sequence that had to come.
        expected: u64,
        /// The sequence that came.
        found: u64,
    },
    /// The ledger ends before what was read from it: it was set back, and what was read is not what
    /// it says now.
    #[error("the ledger ends at sequence {last}, and {read} was read from it")]
    SetBack {
        /// The last sequence that was read.
        read: u64,
        /// The last sequence that there is.
        last: u64,
    },
    /// A message is not an event that this program knows.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The server does not answer, or has lost the consumer. Wait a moment and try again.
#[derive(Debug, thiserror::Error)]
#[error("the queue does not answer")]
pub struct QueueError(#[source] pub Fault);

/// A message could not be sent or asked for.
#[derive(Debug, thiserror::Error)]
#[error("NATS does not pass the message on")]
pub struct PresenceError(#[source] pub(crate) Fault);
