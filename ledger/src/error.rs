//! What goes wrong with the ledger, as its users are told. The errors of a store and of an object
//! store stand with their traits.

use std::error::Error;

use events::envelope::FormError;
use events::{LedgerId, Rejection, Subject};

/// What an operator is told of a ledger that was made before ledgers had ids.
pub(crate) const NO_LEDGER_ID: &str = "the stream LEDGER has no `ledger_id`: another version of Runledger made it. \
     Begin anew: stop everything, empty the store of NATS, and provision again";

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
    /// The stream has no ledger id.
    #[error("{}", NO_LEDGER_ID)]
    NoLedgerId,
    /// The stream is missing, and was there before.
    #[error(
        "the stream LEDGER is missing, and was there before: restore the store of NATS from a copy that has it or, if \
         what it held is lost, run `provisioner` once without `--keep`, which begins a new ledger"
    )]
    LedgerGone,
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
    /// The streams reserve more disk than a server has left.
    #[error(
        "the streams reserve {streams_mib} MiB of disk in all, {missing_mib} MiB more than they have, and the NATS server \
         at {monitor_url} has {left_mib} MiB left: lower `[streams] ledger_bytes_max` or `objects_bytes_max`, or give the \
         server more disk (`max_file_store` in the `jetstream {{ … }}` block of its configuration)"
    )]
    NoRoom { monitor_url: String, streams_mib: u64, missing_mib: u64, left_mib: u64 },
    /// The server does not make the stream.
    #[error("the stream {stream} cannot be made")]
    Create { stream: String, source: Fault },
}

impl ProvisionError {
    /// Tells whether another try is of no use: an operator has to mend it.
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::TooOld { .. }
            | Self::NotDurable { .. }
            | Self::NoMonitor
            | Self::NotAllMonitored { .. }
            | Self::NoLedgerId
            | Self::LedgerGone
            | Self::Different { .. }
            | Self::NoRoom { .. } => true,
            Self::Monitor { .. } | Self::Create { .. } => false,
        }
    }
}

/// Why the ledger could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum ReadError {
    /// The server did not answer in time.
    #[error("the ledger does not answer")]
    Unavailable(#[source] Fault),
    /// An event is of a newer version: stop, and upgrade.
    #[error("the event at sequence {sequence} cannot be read")]
    Newer { sequence: u64, source: FormError },
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
    /// The submission is not in the ledger any more: the ledger was set back or replaced. Nothing was
    /// stored.
    #[error("the submission is not in the ledger any more")]
    Gone,
    /// The server will never take it. Nothing was stored.
    #[error("the ledger refuses the event")]
    Refused(#[source] Fault),
    /// What stands in the ledger could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a follower must stop. None is mended by trying again at once: a person has to look.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum FollowError {
    /// Sequences are contiguous. A missing one was removed, and everything after it is in doubt.
    #[error("the ledger has a hole: sequence {found} comes where {expected} had to come")]
    Hole { expected: u64, found: u64 },
    /// What was read from the ledger is not what it says now.
    #[error(transparent)]
    Differs(#[from] HistoryDiffers),
    /// An event is of a newer version.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// How a ledger differs from the one that a position was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum HistoryDiffers {
    /// It ends before what was read.
    #[error("the ledger was set back: it ends at sequence {last}, and {read} was read from it")]
    SetBack { read: u64, last: u64 },
    /// It is another ledger.
    #[error("the ledger was replaced: it is {found}, and what was read is of {read}")]
    Replaced { read: LedgerId, found: LedgerId },
    /// It has another message where the last one was read.
    #[error(
        "the ledger was rewritten: it does not have the message that was read at sequence {sequence}"
    )]
    Rewritten { sequence: u64 },
    /// Its beginning is gone.
    #[error(
        "the ledger begins at sequence {first}, and reading had to go on after {read}: the history before was archived, \
         or removed"
    )]
    Archived { read: u64, first: u64 },
    /// It was made before ledgers had ids.
    #[error("{}", NO_LEDGER_ID)]
    NoLedgerId,
}

/// The server does not answer, or has lost the consumer. Wait a moment and try again.
#[derive(Debug, thiserror::Error)]
#[error("the queue does not answer")]
pub struct QueueError(#[source] pub Fault);

/// A message could not be sent or asked for.
#[derive(Debug, thiserror::Error)]
#[error("NATS does not pass the message on")]
pub struct PresenceError(#[source] pub(crate) Fault);
