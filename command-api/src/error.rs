//! Everything that can go wrong with a request, and what a client is told of it: one exhaustive match.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use events::{Rejection, State};
use ledger::{ExecuteError, ObjectError, ReadError};
use platform::json::Faults;
use platform::problem::{Problem, Slug};

/// When a client may try again after a server did not answer.
const RETRY_SOON: Duration = Duration::from_secs(2);
/// When a client may try again after the ledger had no room: an operator has to make some.
const RETRY_LATER: Duration = Duration::from_mins(1);

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// What the edge of HTTP has to say: no caller, no scope, not the right form.
    #[error("the request is refused: {}", .0.detail())]
    Refused(Problem),
    /// Well formed, and against the rules.
    #[error("the submission breaks rules")]
    Invalid(Faults),
    /// Its key stands for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Absent, or somebody else's.
    #[error("there is no such submission")]
    NotFound,
    /// New submissions are not let in, to leave room for outcomes.
    #[error("the ledger is nearly full")]
    Closed,
    /// The streams are not there yet.
    #[error("the streams are not provisioned yet")]
    Starting,
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

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Faults> for ApiError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.problem().report(&self)
    }
}

impl ApiError {
    fn problem(&self) -> Problem {
        match self {
            Self::Refused(problem) => problem.clone(),
            Self::Invalid(faults) => Problem::invalid(faults.clone().into_list()),
            Self::KeyReused => Problem::idempotency_key_reused(),
            Self::NotFound => Problem::not_found("there is no such submission, or it is not yours"),
            Self::Closed | Self::Objects(ObjectError::Full(_)) => full(),
            Self::Starting => Problem::unavailable("the service is starting", RETRY_SOON),
            Self::Objects(ObjectError::Unavailable(_)) => away(),
            Self::Objects(ObjectError::Absent(_) | ObjectError::Corrupt(_)) => Problem::internal(),
            Self::Execute(error) => of_execute(error),
            Self::Read(error) => of_read(error),
        }
    }
}

fn of_execute(error: &ExecuteError) -> Problem {
    match error {
        ExecuteError::Rejected(rejection) => of_rejection(*rejection),
        ExecuteError::Full => full(),
        ExecuteError::SubjectFull => {
            Problem::conflict("the submission has as many events as one may have")
        }
        ExecuteError::TooLarge => Problem::new(
            Slug::TooLarge,
            "the submission is larger than one event of the ledger may be",
        ),
        ExecuteError::Unavailable(_) => away(),
        ExecuteError::Refused(_) => Problem::internal(),
        ExecuteError::Read(error) => of_read(error),
    }
}

fn of_rejection(rejection: Rejection) -> Problem {
    match rejection {
        Rejection::NotAccepted => {
            Problem::not_found("there is no such submission, or it is not yours")
        }
        Rejection::AlreadyEnded(state) => already_ended(state),
        Rejection::AlreadyAccepted
        | Rejection::CancellationPending
        | Rejection::CancellationNotRequested
        | Rejection::AlreadyRunning(_)
        | Rejection::NotRunning
        | Rejection::WrongAttempt { .. }
        | Rejection::AlreadyCompiled
        | Rejection::ResultsOutOfOrder { .. }
        | Rejection::TooManyResults(_) => Problem::conflict(rejection.to_string()),
    }
}

fn of_read(error: &ReadError) -> Problem {
    match error {
        ReadError::Unavailable(_) => away(),
        ReadError::Form { .. }
        | ReadError::Subject { .. }
        | ReadError::WrongSubject { .. }
        | ReadError::NotAccepted { .. } => Problem::internal(),
    }
}

/// 409 for a submission that is over.
pub(crate) fn already_ended(state: State) -> Problem {
    Problem::new(Slug::AlreadyEnded, format!("the submission has ended: {state}"))
}

fn full() -> Problem {
    Problem::unavailable("the ledger has no room for new submissions", RETRY_LATER)
}

fn away() -> Problem {
    Problem::unavailable("the ledger does not answer; try the same request again", RETRY_SOON)
}
