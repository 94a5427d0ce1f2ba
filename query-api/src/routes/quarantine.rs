//! `GET /v1/admin/quarantine`.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use platform::auth::{Caller, Scope};
use platform::params::Query;
use platform::problem::Problem;
use serde::Deserialize;

use super::list::Limit;
use super::sight;
use crate::app::{QueryApi, Sight};
use crate::body::{QuarantineBody, QuarantinedBody};
use crate::cursor::QuarantineCursor;

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuarantineParams {
    cursor: Option<QuarantineCursor>,
    #[serde(default)]
    limit: Limit,
}

/// Lists what stands in the ledger and is no event, the last first, to callers who may see
/// everything.
pub(super) async fn list_quarantine(
    State(app): State<QueryApi>,
    caller: Caller,
    Query(params): Query<QuarantineParams>,
) -> Result<impl IntoResponse, Problem> {
    // Its author is not known, so it may be of any user.
    if sight(&caller) != Sight::All {
        caller.require(Scope::ReadAny)?;
    }
    let limit = params.limit.0;
    // One more than is shown tells whether there is another page.
    let mut found = app.quarantined(params.cursor.map(|cursor| cursor.0), limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| has_more);
    let next = last.map(|last| String::from(QuarantineCursor(last.place())));
    let items = found.into_iter().map(QuarantinedBody::from).collect();
    Ok(([(CACHE_CONTROL, "no-store")], Json(QuarantineBody { items, next })))
}
