//! Everything that can go wrong with a request, and what the client is told: one exhaustive match.

use std::time::Duration;

use events::Rejection;
use ledger::{ExecuteError, LanguageOffer, ObjectError, ReadError};
use platform::json::Faults;
use platform::problem::{Problem, Slug};

/// When a client may try again after the ledger had no room: an operator has to make some.
const RETRY_LATER: Duration = Duration::from_mins(1);
/// When a client may try again after no executor had the language: one that starts says at once
/// what it has.
const RETRY_WITH_EXECUTOR: Duration = Duration::from_secs(10);

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
    /// New submissions are refused, to leave room for outcomes.
    #[error("the ledger or the bucket of outputs is nearly full")]
    Closed,
    /// The streams are not there yet.
    #[error("the streams are not provisioned yet")]
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
        ApiError::NotFound => Problem::no_such_submission(),
        ApiError::Starting => Problem::no_answer("the service is starting"),
        ApiError::Closed
        | ApiError::Objects(ObjectError::Full(_))
        | ApiError::Execute(ExecuteError::Full) => {
            Problem::unavailable("the ledger has no room for new submissions", RETRY_LATER)
        }
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
        ApiError::Execute(ExecuteError::TooLarge) => {
            let detail = "the submission is too large for one event of the ledger";
            Problem::new(Slug::TooLarge, detail)
        }
        ApiError::Objects(ObjectError::Absent(_) | ObjectError::Corrupt(_))
        | ApiError::Execute(ExecuteError::Refused(_) | ExecuteError::Read(_))
        | ApiError::Read(_) => Problem::internal(),
    }
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
