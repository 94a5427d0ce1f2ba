//! What comes back for a request.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::ClientError;

/// An answer, read to its end.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct HttpAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What the server answers to a submission and to a cancellation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Submitted {
    /// The submission's id.
    pub id: String,
    /// The least sequence that a reader may ask for, as `min_seq`.
    pub sequence: u64,
    /// The submission's state.
    pub state: String,
}

impl HttpAnswer {
    /// Reads the body.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}
