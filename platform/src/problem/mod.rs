//! RFC 9457 problems: what a client is told when a request does not succeed. Knows no rule of any service; each service maps
//! its own errors to these in one exhaustive match.

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
/// As a response it carries itself as an extension, so that [`complete`] can add what only the outer layer knows.
#[derive(Debug, Clone)]
pub struct Problem(Box<Occurrence>);

/// Boxed, since most results that could be a problem are none.
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

    /// 400: the request cannot be understood.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Slug::Malformed, detail)
    }

    /// 401: no caller, or none that can be believed; the challenge says how to become one.
    pub fn unauthenticated(detail: impl Into<Cow<'static, str>>, challenge: String) -> Self {
        Self::new(Slug::Unauthenticated, detail).with_challenge(challenge)
    }

    /// 403: the caller is known and may not.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Slug::Forbidden, detail)
    }

    /// 404: absent, or not the caller's.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Slug::NotFound, detail)
    }

    /// 405: the route exists, the method does not.
    pub fn method_not_allowed() -> Self {
        Self::new(
            Slug::MethodNotAllowed,
            "this route does not take this method; the Allow header has those it takes",
        )
    }

    /// 408: the body did not arrive in time.
    pub fn request_timeout() -> Self {
        Self::new(Slug::RequestTimeout, "the request's body did not arrive in time")
    }

    /// 409: a rule or a version stands against it.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Slug::Conflict, detail)
    }

    /// 413: the body is over the limit.
    pub fn too_large(bytes_max: usize) -> Self {
        Self::new(Slug::TooLarge, format!("the body is larger than {bytes_max} bytes"))
    }

    /// 415: the body is not of a type that is read here.
    pub fn unsupported_media_type() -> Self {
        Self::new(
            Slug::UnsupportedMediaType,
            "the body has to be JSON, announced by content-type: application/json",
        )
    }

    /// 422: well formed, and against the rules; every fault at once.
    pub fn invalid(errors: Vec<FieldFault>) -> Self {
        Self::new(Slug::Invalid, "the request is well formed but breaks the rules listed in errors")
            .with_errors(errors)
    }

    /// 422: the Idempotency-Key was used with another body.
    pub fn idempotency_key_reused() -> Self {
        Self::new(
            Slug::IdempotencyKeyReused,
            "this Idempotency-Key was used before with another body",
        )
    }

    /// 500: our own mistake, told in a fixed text; the chain goes to the log.
    pub fn internal() -> Self {
        Self::new(Slug::Internal, "the service failed; the log has the reason under the request id")
    }

    /// 503: something that the request needs is away or full, told in a fixed text.
    pub fn unavailable(detail: &'static str, retry_after: Duration) -> Self {
        Self::new(Slug::Unavailable, detail).with_retry_after(retry_after)
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

    /// Returns the sentence about this occurrence.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Returns the faults of single fields.
    pub fn errors(&self) -> &[FieldFault] {
        &self.0.errors
    }

    /// Answers with this, the form in which a client is told of `error`, and logs what it is not told: the chain of our own
    /// mistakes as errors, of what was away or full as warnings.
    pub fn report(self, error: &dyn StdError) -> Response {
        let sources = std::iter::successors(error.source(), |error| StdError::source(*error));
        let chain = sources.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        match self.slug().status() {
            StatusCode::INTERNAL_SERVER_ERROR => {
                error!(error = %error, error.source = chain, "request failed");
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                warn!(error = %error, error.source = chain, "request put off");
            }
            // The line of the request itself says enough.
            _ => {}
        }
        self.into_response()
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

/// Adds the request's path and id to a response that is a problem; leaves every other response as it is.
pub fn complete(response: Response, instance: &str, request_id: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(mut problem) = parts.extensions.remove::<Problem>() else {
        return Response::from_parts(parts, body);
    };
    problem.0.instance = Some(instance.to_owned());
    problem.0.request_id = Some(request_id.to_owned());
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(problem.to_body()))
}

/// Answers a path that no route has.
pub async fn no_such_route() -> Problem {
    Problem::not_found("there is nothing at this path")
}

/// Answers a method that a route does not take.
pub async fn no_such_method() -> Problem {
    Problem::method_not_allowed()
}

impl From<Slug> for StatusCode {
    fn from(slug: Slug) -> Self {
        slug.status()
    }
}

#[cfg(test)]
mod tests;
