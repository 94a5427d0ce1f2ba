//! Everything that can go wrong with a request, and what the client is told: one exhaustive match.

use std::time::Duration;

use events::{ObjectBucket, Rejection};
use ledger::{ExecuteError, LanguageOffer, ObjectError, ReadError};
use platform::json::Faults;
use platform::problem::{Problem, Slug};

use crate::limited_store::LimitedStore;

/// When a client may try again after the ledger had no room: an operator has to make some.
const RETRY_LATER: Duration = Duration::from_mins(1);
/// When a client may try again after no executor had the language: one that starts says at once
/// what it has.
const RETRY_WITH_EXECUTOR: Duration = Duration::from_secs(10);

/// When a client may try again whose own submissions wait: they end one by one.
const RETRY_WHEN_SOME_END: Duration = Duration::from_secs(10);

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The submission is well formed, and breaks rules.
    #[error("the submission breaks rules")]
    Invalid(Faults),
    /// The idempotency key stands for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The submission is absent, or another user's.
    #[error("there is no such submission")]
    NotFound,
    /// A server acknowledges what a power failure can take back.
    #[error("NATS acknowledges before it syncs")]
    NotDurable,
    /// New submissions are refused, to leave room for outcomes.
    #[error("the store of {} is nearly full", .0.as_str())]
    Full(LimitedStore),
    /// The outcomes of the principal's submissions need as much room in the ledger as they may.
    #[error("the principal's submissions that have not ended need as much room as they may")]
    OwesTooMuch,
    /// The principal has as much in the object store as it may, and may have more after this time.
    #[error("the principal has stored as much as it may")]
    StoredTooMuch(Duration),
    /// What admission goes by is not known yet.
    #[error("what admission goes by is not known yet")]
    Starting,
    /// No executor has had the language of late.
    #[error("no executor has {} {} in pool {}", .0.slug, .0.version, .0.pool)]
    NotOffered(LanguageOffer),
    /// An object could not be stored.
    #[error("an object could not be stored")]
    Objects(#[from] ObjectError),
    /// An event could not be stored.
    #[error("an event could not be stored")]
    Execute(#[from] ExecuteError),
    /// The ledger could not be read.
    #[error("the ledger could not be read")]
    Read(#[from] ReadError),
}

impl ApiError {
    /// Tells whether nothing was offered to the ledger.
    pub(crate) const fn comes_before_the_append(&self) -> bool {
        match self {
            Self::NotDurable
            | Self::Full(_)
            | Self::OwesTooMuch
            | Self::StoredTooMuch(_)
            | Self::Starting
            | Self::NotOffered(_)
            | Self::Objects(_) => true,
            Self::Invalid(_)
            | Self::KeyReused
            | Self::NotFound
            | Self::Execute(_)
            | Self::Read(_) => false,
        }
    }
}

impl From<Faults> for ApiError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        problem(&error).logged(&error)
    }
}

fn problem(error: &ApiError) -> Problem {
    match error {
        ApiError::Invalid(faults) => Problem::from(faults.clone()),
        ApiError::KeyReused => Problem::new(
            Slug::IdempotencyKeyReused,
            "this Idempotency-Key was used before with another body",
        ),
        ApiError::NotFound | ApiError::Execute(ExecuteError::Gone) => Problem::no_such_submission(),
        ApiError::Starting => Problem::no_answer("the service is starting"),
        ApiError::Full(store) => full(*store),
        ApiError::Objects(ObjectError::Full(bucket)) => full(LimitedStore::Bucket(*bucket)),
        ApiError::Execute(ExecuteError::Full) => full(LimitedStore::Ledger),
        ApiError::StoredTooMuch(wait) => {
            let detail = "your sources, tests and outputs take as much room as they may; outputs, \
                and what stands in events, stop counting one by one as they age";
            Problem::new(Slug::StorageExceeded, detail).with_retry_after(*wait)
        }
        ApiError::OwesTooMuch => {
            let detail = "your submissions that have not ended need as much room for their \
                outcomes as those of one principal may; try again when some of them have ended, \
                or cancel some";
            Problem::new(Slug::StorageExceeded, detail).with_retry_after(RETRY_WHEN_SOME_END)
        }
        ApiError::NotDurable => Problem::unavailable(
            "the ledger acknowledges before it syncs, so nothing is accepted until its servers are \
             configured again",
            RETRY_LATER,
        ),
        ApiError::NotOffered(_) => {
            let detail =
                "no executor has this language at the version that is offered; nothing was stored";
            Problem::new(Slug::NotOffered, detail).with_retry_after(RETRY_WITH_EXECUTOR)
        }
        // A client that tries again with the same key cannot submit twice.
        ApiError::Objects(ObjectError::Unavailable(_))
        | ApiError::Read(ReadError::Unavailable(_))
        | ApiError::Execute(
            ExecuteError::Unavailable { .. } | ExecuteError::Read(ReadError::Unavailable(_)),
        ) => Problem::no_answer("the ledger does not answer; try the same request again"),
        ApiError::Execute(ExecuteError::Rejected(rejection)) => of_rejection(*rejection),
        ApiError::Execute(ExecuteError::SubjectFull) => Problem::new(
            Slug::Conflict,
            "the submission has the largest number of events that it may have",
        ),
        ApiError::Objects(ObjectError::TooLarge(_)) => Problem::new(
            Slug::TooLarge,
            "a file, an input or the cases are too large for an object",
        ),
        ApiError::Execute(ExecuteError::TooLarge) => {
            let detail = "the submission is too large for one event of the ledger";
            Problem::new(Slug::TooLarge, detail)
        }
        ApiError::Objects(ObjectError::Absent(_) | ObjectError::Corrupt(_))
        | ApiError::Execute(ExecuteError::Refused(_) | ExecuteError::Read(_))
        | ApiError::Read(_) => Problem::internal(),
    }
}

/// Names what is full: only an operator can make room in the first two, and a smaller submission
/// needs none in the others.
fn full(store: LimitedStore) -> Problem {
    let detail = match store {
        LimitedStore::Ledger => {
            "the ledger has no room for new submissions: what is left is kept for outcomes"
        }
        LimitedStore::Bucket(ObjectBucket::Outputs) => {
            "the store of outputs has no room for new submissions"
        }
        LimitedStore::Bucket(ObjectBucket::Sources) => {
            "the store of sources has no room: a submission whose files and input are smaller than \
             64 KiB together needs none"
        }
        LimitedStore::Bucket(ObjectBucket::Tests) => {
            "the store of tests has no room: a submission whose cases are smaller than 64 KiB \
             together needs none"
        }
    };
    Problem::unavailable(detail, RETRY_LATER)
}

fn of_rejection(rejection: Rejection) -> Problem {
    match rejection {
        Rejection::NotAccepted => Problem::no_such_submission(),
        Rejection::AlreadyEnded(state) => {
            Problem::new(Slug::AlreadyEnded, format!("the submission has ended: {state}"))
        }
        Rejection::AlreadyAccepted
        | Rejection::CancellationPending
        | Rejection::CancellationNotRequested
        | Rejection::AlreadyRunning(_)
        | Rejection::NotRunning
        | Rejection::WrongAttempt { .. }
        | Rejection::AlreadyCompiled
        | Rejection::ResultsOutOfOrder { .. }
        | Rejection::TooManyResults(_) => Problem::new(Slug::Conflict, rejection.to_string()),
    }
}
