//! `GET /v1/users/me/progress`.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;

use super::Asking;
use crate::app::App;
use crate::body::ProgressBody;
use crate::error::ApiError;

/// Shows the caller's own progress.
pub(super) async fn get_progress(
    State(app): State<App>,
    asking: Asking,
) -> Result<impl IntoResponse, ApiError> {
    let progress = app.progress(&asking.user).await?;
    let today = app.clock().now().date_naive();
    let body = ProgressBody::of(asking.user, progress, today);
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)))
}
