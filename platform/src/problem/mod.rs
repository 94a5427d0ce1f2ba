//! RFC 9457 problems: what a client is told when a request does not succeed. Knows no rule of any
//! service; each service maps its own errors to these in one exhaustive match.

mod slug;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::{error, warn};

pub use self::slug::Slug;

/// When a client may try again after a server did not answer.
const RETRY_SOON: Duration = Duration::from_secs(2);

/// The media type of every error body.
pub const CONTENT_TYPE_PROBLEM: &str = "application/problem+json";

/// One fault in a request's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// Where it is: a JSON pointer (RFC 6901), the empty string for the whole body.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// An answer that says why a request did not succeed.
///
/// As a response it carries itself as an extension, so that [`complete`] can add what only the
/// outer layer knows.
#[derive(Debug, Clone)]
pub struct Problem(Box<Occurrence>);

/// Boxed, since every handler's result has room for a problem and most are none.
#[derive(Debug, Clone)]
struct Occurrence {
    slug: Slug,
    detail: Cow<'static, str>,
    instance: Option<String>,
    request_id: Option<String>,
    errors: Vec<FieldFault>,
    retry_after: Option<Duration>,
    challenge: Option<String>,
}

impl Problem {
    /// Makes a problem of a kind, with a sentence about this occurrence.
    pub fn new(slug: Slug, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self(Box::new(Occurrence {
            slug,
            detail,
            instance: None,
            request_id: None,
            errors: Vec::new(),
            retry_after: None,
            challenge: None,
        }))
    }

    /// 404, in one sentence for what is absent and for what is another user's: an answer must not
    /// tell which.
    pub fn no_such_submission() -> Self {
        Self::new(Slug::NotFound, "there is no such submission, or it is not yours")
    }

    /// 500 in a fixed text: what went wrong in the service is for the log only.
    pub fn internal() -> Self {
        Self::new(Slug::Internal, "the service failed; the log has the reason under the request id")
    }

    /// 503: something that the request needs does not answer or is full.
    pub fn unavailable(detail: &'static str, retry_after: Duration) -> Self {
        Self::new(Slug::Unavailable, detail).with_retry_after(retry_after)
    }

    /// 503: a server that the request needs does not answer. It may answer again soon.
    pub fn no_answer(detail: &'static str) -> Self {
        Self::unavailable(detail, RETRY_SOON)
    }

    /// Adds faults of single fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldFault>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds a challenge, sent as `WWW-Authenticate`.
    #[must_use]
    pub fn with_challenge(mut self, challenge: String) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    /// Adds how long to wait before the next try, sent as `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Returns the kind.
    pub fn slug(&self) -> Slug {
        self.0.slug
    }

    /// Returns the faults of single fields.
    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[FieldFault] {
        &self.0.errors
    }

    /// Logs the error that this problem was made of, where the client is told less than there is to
    /// know: our own mistakes as errors, servers that do not answer or are full as warnings.
    #[must_use]
    pub fn logged(self, error: &(dyn StdError + 'static)) -> Self {
        match self.slug().status() {
            StatusCode::INTERNAL_SERVER_ERROR => error!(error, "request failed"),
            StatusCode::SERVICE_UNAVAILABLE => warn!(error, "request put off"),
            // The line of the request itself says enough.
            _ => {}
        }
        self
    }

    fn to_body(&self) -> Vec<u8> {
        let body = ProblemBody {
            r#type: format!("/problems/{}", self.0.slug.as_str()),
            title: self.0.slug.title(),
            status: self.0.slug.status().as_u16(),
            detail: &self.0.detail,
            instance: self.0.instance.as_deref(),
            request_id: self.0.request_id.as_deref(),
            errors: &self.0.errors,
        };
        serde_json::to_vec(&body).expect("a problem is made of strings and numbers only")
    }
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldFault],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.0.slug.status(), self.to_body()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_PROBLEM));
        if let Some(wait) = self.0.retry_after {
            // Rounded up: a client must not come back before the time.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(value) =
            self.0.challenge.as_deref().and_then(|text| HeaderValue::from_str(text).ok())
        {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Adds the request's path and id to a response that is a problem; leaves every other response as
/// it is.
pub fn complete(response: Response, instance: &str, request_id: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(mut problem) = parts.extensions.remove::<Problem>() else {
        return Response::from_parts(parts, body);
    };
    problem.0.instance = Some(instance.to_owned());
    problem.0.request_id = Some(request_id.to_owned());
    // The body grows by the path and the id, so the length that was announced is wrong.
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(problem.to_body()))
}

/// Answers a path that no route has.
pub async fn no_such_route() -> Problem {
    Problem::new(Slug::NotFound, "there is nothing at this path")
}

/// Answers a method that a route does not take.
pub async fn no_such_method() -> Problem {
    let detail =
        "this route does not take this method; the Allow header lists the methods that it takes";
    Problem::new(Slug::MethodNotAllowed, detail)
}

#[cfg(test)]
mod tests;
