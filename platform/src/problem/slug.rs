//! The kinds of problem that clients meet. Each has a page in `docs/problems/`, which a test compares.

use axum::http::StatusCode;

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slug {
    /// The request cannot be understood.
    Malformed,
    /// There is no caller, or none that can be believed.
    Unauthenticated,
    /// The caller may not.
    Forbidden,
    /// Absent, or not the caller's.
    NotFound,
    /// The route does not take the method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// A rule or a version stands against it.
    Conflict,
    /// The submission is over.
    AlreadyEnded,
    /// The body is over the limit.
    TooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// Well formed, and against the rules.
    Invalid,
    /// The key stands for another request.
    IdempotencyKeyReused,
    /// Our own mistake.
    Internal,
    /// Something is away or full.
    Unavailable,
}

impl Slug {
    /// Every kind, in order of declaration.
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::AlreadyEnded,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::IdempotencyKeyReused,
        Self::Internal,
        Self::Unavailable,
    ];

    /// Returns the last part of the problem's type.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// Returns the status that goes with it.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Returns the title, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Malformed => {
                ("malformed", StatusCode::BAD_REQUEST, "The request cannot be understood")
            }
            Self::Unauthenticated => {
                ("unauthenticated", StatusCode::UNAUTHORIZED, "A valid token is required")
            }
            Self::Forbidden => {
                ("forbidden", StatusCode::FORBIDDEN, "The token does not allow this")
            }
            Self::NotFound => {
                ("not-found", StatusCode::NOT_FOUND, "There is no such thing, or it is not yours")
            }
            Self::MethodNotAllowed => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The route does not take this method",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The request did not arrive in time",
            ),
            Self::Conflict => {
                ("conflict", StatusCode::CONFLICT, "The present state does not allow this")
            }
            Self::AlreadyEnded => {
                ("already-ended", StatusCode::CONFLICT, "The submission has ended")
            }
            Self::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body's media type is not read here",
            ),
            Self::Invalid => {
                ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "The request breaks a rule")
            }
            Self::IdempotencyKeyReused => (
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key stands for another request",
            ),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "The service failed"),
            Self::Unavailable => {
                ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Not available at the moment")
            }
        }
    }
}
