//! Everything that can go wrong with a request, and what a client is told of it: one exhaustive match.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use ledger::{ObjectError, ReadError};
use platform::problem::Problem;
use views::error::ViewError;

/// When a client may try again.
const RETRY_SOON: Duration = Duration::from_secs(2);

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// What the edge of HTTP has to say: no caller, no scope, bad parameters.
    #[error("the request is refused: {}", .0.detail())]
    Refused(Problem),
    /// Absent, or somebody else's.
    #[error("there is no such submission")]
    NotFound,
    /// The ledger could not be read.
    #[error("the ledger could not be read")]
    Ledger(#[from] ReadError),
    /// A view has no answer.
    #[error("a view could not be read")]
    View(#[from] ViewError),
    /// A stored event cannot be shown.
    #[error("the event at sequence {sequence} is not JSON")]
    Payload {
        /// Where it stands.
        sequence: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An output could not be fetched.
    #[error("an output could not be fetched")]
    Output(#[from] ObjectError),
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
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
            Self::NotFound => Problem::not_found("there is no such submission, or it is not yours"),
            Self::Ledger(error) => of_ledger(error),
            Self::View(ViewError::Away { detail, source: _ }) => away(detail),
            Self::Output(ObjectError::Unavailable(_)) => {
                away("the store of outputs does not answer")
            }
            Self::Payload { .. }
            | Self::View(ViewError::Impossible(_))
            | Self::Output(
                ObjectError::Absent(_) | ObjectError::Corrupt(_) | ObjectError::Full(_),
            ) => Problem::internal(),
        }
    }
}

fn of_ledger(error: &ReadError) -> Problem {
    match error {
        ReadError::Unavailable(_) => away("the ledger does not answer"),
        ReadError::Form { .. }
        | ReadError::Subject { .. }
        | ReadError::WrongSubject { .. }
        | ReadError::NotAccepted { .. } => Problem::internal(),
    }
}

fn away(detail: &'static str) -> Problem {
    Problem::unavailable(detail, RETRY_SOON)
}
