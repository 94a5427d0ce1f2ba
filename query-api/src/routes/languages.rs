//! `GET /v1/languages`.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use platform::auth::Caller;
use platform::problem::Problem;

use crate::app::QueryApi;
use crate::body::LanguagesBody;
use crate::caching::{Keep, Tag};

/// How long a client may keep the list.
const AN_HOUR: Duration = Duration::from_hours(1);

/// Shows the languages there are. They change with the program only.
pub(super) async fn list_languages(
    State(app): State<QueryApi>,
    _caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Made once here and not by `Json`, since the tag is a hash of these very bytes.
    let body = serde_json::to_vec(&LanguagesBody::from(app.catalog()))
        .expect("languages are made of texts and booleans");
    let tag = Tag::of_content(&body);
    Ok(tag.answer(&headers, Keep::For(AN_HOUR), ([(CONTENT_TYPE, "application/json")], body)))
}
