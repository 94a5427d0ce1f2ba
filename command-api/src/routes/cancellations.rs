//! `POST /v1/submissions/{id}/cancel`.

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use events::UserId;
use platform::json::{Faults, JsonObject, JsonPointer};
use platform::params::SubmissionPath;
use platform::problem::Problem;
use serde::Deserialize;

use super::{AcknowledgementBody, Canceller};
use crate::app::App;
use crate::submission::bounds::REASON_BYTES_MAX;

/// The optional body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancellation {
    reason: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for Cancellation {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // A POST without a body has no content type, which the JSON extractor would refuse.
        if request.body().is_end_stream() {
            return Ok(Self::default());
        }
        let JsonObject(body): JsonObject<Self> = JsonObject::from_request(request, state).await?;
        if body.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
            let mut faults = Faults::default();
            let detail = format!("is longer than {REASON_BYTES_MAX} bytes");
            faults.push(&JsonPointer::root().key("reason"), detail);
            return Err(faults.into());
        }
        Ok(body)
    }
}

/// Asks for a submission's end: the owner may, and an admin.
pub(super) async fn cancel_submission(
    State(app): State<App>,
    Canceller { requester, is_admin }: Canceller,
    SubmissionPath(id): SubmissionPath,
    body: Cancellation,
) -> Result<impl IntoResponse, Problem> {
    let may_cancel = |owner: &UserId| is_admin || *owner == requester.user;
    let acknowledgement = app.cancel(&requester, id, may_cancel, body.reason).await?;
    Ok((StatusCode::ACCEPTED, Json(AcknowledgementBody::from(acknowledgement))))
}
