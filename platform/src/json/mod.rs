//! JSON bodies: read within bounds and parsed strictly into a type, or refused with the place of
//! the first fault. Knows the form of a body only; whether the values make sense is the domain's
//! business (422).

mod body;
mod faults;
mod object;
mod parse;
mod pointer;

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

pub use self::body::{BODY_BYTES_MAX, BODY_TIME_MAX, BodyLimit, read_body};
pub use self::faults::{FAULTS_MAX, Faults};
pub use self::object::Object;
pub use self::parse::parse;
pub use self::pointer::JsonPointer;
use crate::problem::Problem;

/// A body that is one JSON object: a malformed one is 400 with the pointer of its first fault.
#[derive(Debug, Clone, Copy)]
pub struct JsonObject<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonObject<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let Object(value) = parse(&read_body(request).await?)?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests;
