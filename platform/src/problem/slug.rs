//! The kinds of problem that clients meet. Each has a page in `docs/problems/`, which a test
//! compares.

use axum::http::StatusCode;
use strum::{IntoStaticStr, VariantArray};

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
#[expect(missing_docs, reason = "each kind has its title below and its page in docs/problems")]
pub enum Slug {
    Malformed,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    AlreadyEnded,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    IdempotencyKeyReused,
    Internal,
    Unavailable,
    NotOffered,
    StorageExceeded,
}

impl Slug {
    /// Every kind.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the last part of the problem's type.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the status that goes with it.
    pub const fn status(self) -> StatusCode {
        self.status_and_title().0
    }

    /// Returns the title, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.status_and_title().1
    }

    const fn status_and_title(self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "The request cannot be understood"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "A valid token is required"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "The token does not allow this"),
            Self::NotFound => (StatusCode::NOT_FOUND, "There is no such thing, or it is not yours"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "The route does not take this method")
            }
            Self::RequestTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "The request did not arrive in time")
            }
            Self::Conflict => (StatusCode::CONFLICT, "The present state does not allow this"),
            Self::AlreadyEnded => (StatusCode::CONFLICT, "The submission has ended"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body's media type is not read here")
            }
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "The request breaks a rule"),
            Self::IdempotencyKeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "The Idempotency-Key stands for another request")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "The service failed"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not available at the moment"),
            Self::NotOffered => {
                (StatusCode::SERVICE_UNAVAILABLE, "No executor has this language at the moment")
            }
            Self::StorageExceeded => {
                (StatusCode::TOO_MANY_REQUESTS, "You have stored as much as you may")
            }
        }
    }
}
