//! Everything that can go wrong with a request, and what a client is told of it: one exhaustive
//! match.

use ledger::{ObjectError, ReadError};
use platform::problem::Problem;
use views::error::ViewError;

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The submission is absent, or another user's.
    #[error("there is no such submission")]
    NotFound,
    /// The ledger could not be read.
    #[error("the ledger could not be read")]
    Ledger(#[from] ReadError),
    /// The ledger's answer is older than what the client may have seen.
    #[error("the ledger does not answer with sequence {required} yet")]
    Behind {
        /// The sequence that the answer must not be behind.
        required: u64,
    },
    /// Too many submissions are being read from the ledger.
    #[error("no turn to read the ledger came")]
    Crowded,
    /// Too many outputs are on their way to clients.
    #[error("no memory is left for outputs")]
    Busy,
    /// A view has no answer.
    #[error("a view could not be read")]
    View(#[from] ViewError),
    /// A stored event cannot be shown.
    #[error("the event at sequence {sequence} is not JSON")]
    #[expect(missing_docs, reason = "plain data: the names say it")]
    Payload { sequence: u64, source: serde_json::Error },
    /// An output could not be fetched.
    #[error("an output could not be fetched")]
    Output(#[from] ObjectError),
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        problem(&error).logged(&error)
    }
}

fn problem(error: &QueryError) -> Problem {
    match error {
        QueryError::NotFound => Problem::no_such_submission(),
        QueryError::Ledger(ReadError::Unavailable(_)) => {
            Problem::no_answer("the ledger does not answer")
        }
        QueryError::Behind { .. } => Problem::no_answer(
            "the ledger does not have yet what min_seq names or what was answered before",
        ),
        QueryError::Crowded => {
            Problem::no_answer("too many submissions are being read from the ledger")
        }
        QueryError::Busy => Problem::no_answer("too many large outputs are being sent"),
        QueryError::View(ViewError::Away { detail, source: _ }) => Problem::no_answer(detail),
        QueryError::Output(ObjectError::Unavailable(_)) => {
            Problem::no_answer("the store of outputs does not answer")
        }
        // Damage that a later try meets again. A 503 would make each client try for ever.
        QueryError::Payload { .. }
        | QueryError::Ledger(_)
        | QueryError::View(ViewError::Impossible(_))
        | QueryError::Output(
            ObjectError::Absent(_)
            | ObjectError::Corrupt(_)
            | ObjectError::Full(_)
            | ObjectError::TooLarge(_),
        ) => Problem::internal(),
    }
}
