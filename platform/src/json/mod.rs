//! JSON bodies: read within bounds, parsed strictly, and turned into types with a JSON pointer for each fault.
//! Knows the form of a body only; whether the values make sense is the domain's business (422).

mod body;
mod explain;
mod fields;
mod pointer;
mod strict;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::body::{BODY_BYTES_MAX, BODY_TIME_MAX, BodyLimit, read_body};
pub use self::fields::{FAULTS_MAX, Faults, ObjectReader, ReadObject, read_object};
pub use self::pointer::Pointer;
pub use self::strict::parse;
use crate::problem::Problem;

/// A JSON body as a serde type: a wrong body is 400 with the pointer of its first fault. As a response it is plain JSON.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let value = parse(&read_body(request).await?)?;
        explain::typed(&value, &Pointer::root())
            .map(Self)
            .map_err(|fault| Faults::from(fault).into_problem())
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A JSON body read member by member: a wrong body is 400 with the pointer of every fault.
#[derive(Debug, Clone, Copy)]
pub struct JsonObject<T>(pub T);

impl<S: Send + Sync, T: ReadObject> FromRequest<S> for JsonObject<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let value: Value = parse(&read_body(request).await?)?;
        read_object(value).map(Self).map_err(Faults::into_problem)
    }
}

#[cfg(test)]
mod tests;
