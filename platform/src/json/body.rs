//! Reads a request's body into memory, within bounds of size and time. What a refused request
//! leaves unread is drained by [`crate::http`].

use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use futures::StreamExt;

use super::JsonPointer;
use super::faults::malformed;
use crate::problem::{Problem, Slug};

/// The largest body that is read on a route without a [`BodyLimit`].
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a client may take to send its body.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// A limit on bodies, put on a router by [`BodyLimit::layer`].
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(usize);

impl BodyLimit {
    /// Returns a layer that sets the limit of the routes inside it.
    pub fn layer(bytes_max: usize) -> Extension<Self> {
        Extension(Self(bytes_max))
    }
}

/// Reads a body that is announced as JSON: 415 if it is not, 413 over the limit, 408 if it does not
/// come in time.
pub async fn read_body(request: Request) -> Result<Bytes, Problem> {
    if !announces_json(request.headers()) {
        let detail = "the body must be JSON, with the header content-type: application/json";
        return Err(Problem::new(Slug::UnsupportedMediaType, detail));
    }
    let limit = request.extensions().get::<BodyLimit>().map_or(BODY_BYTES_MAX, |limit| limit.0);
    // Refused before the first byte is read, so that a client that waits for "100 Continue" sends
    // nothing.
    let announced = announced_bytes(request.headers());
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(too_large(limit));
    }
    let reading = collect(request.into_body(), limit, announced.unwrap_or_default());
    // One limit for the whole body: with a limit for each part a client could send one byte at a
    // time.
    let late = || Problem::new(Slug::RequestTimeout, "the request's body did not arrive in time");
    tokio::time::timeout(BODY_TIME_MAX, reading).await.unwrap_or_else(|_| Err(late()))
}

async fn collect(body: Body, limit: usize, announced: usize) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    // The announced length is within the limit here, so a client cannot make us reserve more.
    let mut all = Vec::with_capacity(announced);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_gone| {
            malformed(&JsonPointer::root(), "the body broke off before its end")
        })?;
        // A body in chunks announces no length.
        if all.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Slug::TooLarge, format!("the body is larger than {bytes_max} bytes"))
}

/// Returns whether the media type is `application/json` or `application/…+json`, whatever its
/// parameters.
fn announces_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(subtype) = essence.strip_prefix("application/") else { return false };
    subtype == "json" || subtype.ends_with("+json")
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
