//! `GET /v1/users/me/progress`.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use platform::auth::Caller;
use platform::problem::Problem;

use crate::app::QueryApi;
use crate::body::ProgressBody;

/// Shows the caller's own progress.
pub(super) async fn get_progress(
    State(app): State<QueryApi>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let progress = app.progress(&caller.user).await?;
    let today = app.clock().now().date_naive();
    // Without a tag: a streak ends with its day, while the sequence stays the same.
    let body = ProgressBody::of(caller.user, progress, today);
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)))
}
