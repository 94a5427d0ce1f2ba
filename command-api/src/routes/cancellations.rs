//! `POST /v1/submissions/{id}/cancel`.

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use events::{SubmissionId, UserId};
use platform::auth::Scope;
use platform::json::{Faults, JsonObject, ObjectReader, Pointer, ReadObject};
use platform::params::Path;
use platform::problem::Problem;

use super::{Asking, StandingBody};
use crate::app::App;
use crate::error::ApiError;
use crate::submission::bounds::REASON_BYTES_MAX;

/// The optional body.
#[derive(Debug, Default)]
pub(super) struct Cancellation {
    reason: Option<String>,
}

impl ReadObject for Cancellation {
    fn read(object: &mut ObjectReader<'_>) -> Self {
        Self { reason: object.optional("reason") }
    }
}

impl<S: Send + Sync> FromRequest<S> for Cancellation {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if request.body().is_end_stream() {
            return Ok(Self::default());
        }
        let JsonObject(body): JsonObject<Self> = JsonObject::from_request(request, state).await?;
        let mut faults = Faults::default();
        let at = Pointer::root().key("reason");
        if body.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
            faults.push(&at, format!("is longer than {REASON_BYTES_MAX} bytes"));
        }
        if faults.is_empty() { Ok(body) } else { Err(faults.into()) }
    }
}

/// Asks for a submission's end: the owner may, and an admin.
pub(super) async fn cancel_submission(
    State(app): State<App>,
    Asking { caller, origin }: Asking,
    Path(id): Path<String>,
    body: Cancellation,
) -> Result<impl IntoResponse, ApiError> {
    if !caller.may(Scope::Admin) {
        caller.require(Scope::Submit)?;
    }
    let id = canonical(&id)?;
    let may_cancel = |owner: &UserId| caller.may(Scope::Admin) || *owner == origin.user;
    let standing = app.cancel(&origin, id, may_cancel, body.reason).await?;
    Ok((StatusCode::ACCEPTED, Json(StandingBody::from(standing))))
}

/// Only the one spelling that we give out names a submission.
fn canonical(text: &str) -> Result<SubmissionId, Problem> {
    let id = text.parse::<SubmissionId>().ok().filter(|id| id.to_string() == text);
    id.ok_or_else(|| Problem::not_found("there is no such submission, or it is not yours"))
}
