//! Why there is no answer that a caller can use.

use reqwest::StatusCode;

use crate::problem::ServerProblem;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text is not the address of an HTTP server.
    #[error("{url:?} is not a server's address: {why}")]
    Address {
        /// The text.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The token cannot stand in a header.
    #[error("the token is not one line of plain text")]
    Token,
    /// The idempotency key cannot stand in a header.
    #[error("an idempotency key is visible ASCII")]
    Key,
    /// This process cannot make HTTP requests.
    #[error("cannot set up HTTP")]
    Setup(#[source] reqwest::Error),
    /// The request cannot be written as HTTP.
    #[error("the request cannot be sent: {0}")]
    Unsendable(reqwest::Error),
    /// The server refused, and would refuse the same request again.
    #[error("the server refused the request: {0}")]
    Refused(Box<ServerProblem>),
    /// The server cannot do it now.
    #[error("the server is not available: {problem} (tried {})", times(*attempts))]
    Unavailable {
        /// What it said last.
        problem: Box<ServerProblem>,
        /// How often it was asked.
        attempts: u32,
    },
    /// Nothing answers.
    #[error("cannot reach {url} (tried {})", times(*attempts))]
    Unreachable {
        /// The server's address.
        url: String,
        /// How often it was asked.
        attempts: u32,
        /// What happened last.
        source: reqwest::Error,
    },
    /// The answer does not have the form that this client knows.
    #[error("the server's answer is not understood")]
    Answer(#[from] serde_json::Error),
}

impl ClientError {
    /// Tells whether the state of the submission does not allow the request.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == StatusCode::CONFLICT.as_u16())
    }
}

fn times(attempts: u32) -> String {
    if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") }
}
