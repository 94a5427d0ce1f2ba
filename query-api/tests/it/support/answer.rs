//! An answer that has been read.

use axum::body::to_bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value;

/// Status, headers, bytes and JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.unwrap().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self { status: parts.status, headers: parts.headers, bytes, body }
    }

    /// The last part of the problem's type.
    pub(crate) fn slug(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        self.body["type"].as_str().unwrap().strip_prefix("/problems/").unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn state(&self) -> &str {
        self.body["state"].as_str().unwrap_or_else(|| panic!("{self:?}"))
    }
}
