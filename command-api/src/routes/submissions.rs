//! `POST /v1/submissions`.

use axum::Json;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use platform::auth::{Scope, Verifier};
use platform::json::JsonObject;
use platform::problem::Problem;

use super::{Asking, StandingBody, path};
use crate::app::{App, Origin};
use crate::error::ApiError;
use crate::submission::Draft;
use crate::submission::key::IdempotencyKey;

/// A caller that may submit. Checked before the body is read.
pub(super) struct Submitting(Origin);

impl<S> FromRequestParts<S> for Submitting
where
    S: Send + Sync,
    std::sync::Arc<Verifier>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Asking { caller, origin } = Asking::from_request_parts(parts, state).await?;
        caller.require(Scope::Submit)?;
        Ok(Self(origin))
    }
}

/// Takes a submission in: 202 once its accepted event is in the ledger.
pub(super) async fn create_submission(
    State(app): State<App>,
    Submitting(origin): Submitting,
    headers: HeaderMap,
    JsonObject(draft): JsonObject<Draft>,
) -> Result<impl IntoResponse, ApiError> {
    let key = IdempotencyKey::of(&headers)?;
    let standing = app.accept(&origin, key, draft).await?;
    let location = [(LOCATION, path(standing.id))];
    Ok((StatusCode::ACCEPTED, location, Json(StandingBody::from(standing))))
}
