//! `GET /v1/submissions/{id}/events`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use platform::auth::Caller;
use platform::params::SubmissionPath;
use platform::problem::Problem;

use super::sight;
use crate::app::QueryApi;
use crate::body::EventBody;
use crate::caching::{Keep, Tag};
use crate::error::QueryError;

/// Shows a submission's record in the ledger, as it is stored.
pub(super) async fn list_events(
    State(app): State<QueryApi>,
    caller: Caller,
    SubmissionPath(id): SubmissionPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let history = app.history(id, &sight(&caller)).await?;
    let last = history.last().map(|stored| &stored.recorded).ok_or(QueryError::NotFound)?;
    let tag = Tag::of(id, last.sequence);
    let keep = Keep::ended(last.envelope.event.is_terminal());
    let body: Vec<EventBody<'_>> =
        history.iter().map(EventBody::try_from).collect::<Result<_, _>>()?;
    Ok(tag.answer(&headers, keep, Json(body)))
}
