//! `POST /v1/submissions`.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use platform::json::JsonObject;
use platform::problem::{Problem, Slug};

use super::{AcknowledgementBody, Submitter, path};
use crate::app::App;
use crate::submission::Draft;
use crate::submission::key::IdempotencyKey;

/// Takes a submission in: 202 once its accepted event is in the ledger.
pub(super) async fn create_submission(
    State(app): State<App>,
    Submitter(requester): Submitter,
    headers: HeaderMap,
    JsonObject(draft): JsonObject<Draft>,
) -> Result<impl IntoResponse, Problem> {
    let key = idempotency_key(&headers)?;
    let acknowledgement = app.accept(&requester, key, draft).await?;
    let location = [(LOCATION, path(acknowledgement.id))];
    Ok((StatusCode::ACCEPTED, location, Json(AcknowledgementBody::from(acknowledgement))))
}

/// Takes the key of a request that has one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let malformed = |detail: String| Problem::new(Slug::Malformed, detail);
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    // Two keys would name two submissions.
    if values.next().is_some() {
        return Err(malformed("there is more than one Idempotency-Key header".to_owned()));
    }
    let key = IdempotencyKey::try_from(value.as_bytes());
    key.map(Some).map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_key_at_most() {
        let key = |values: &[&str]| {
            let name = axum::http::HeaderName::from_static("idempotency-key");
            let pairs = values.iter().map(|value| (name.clone(), value.parse().unwrap()));
            let key = idempotency_key(&pairs.collect()).map_err(|problem| problem.slug());
            key.map(|key| key.map(|key| key.as_str().to_owned()))
        };
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&["a"]), Ok(Some("a".to_owned())));
        assert_eq!(key(&["a", "a"]), Err(Slug::Malformed));
        assert_eq!(key(&[""]), Err(Slug::Malformed));
    }
}
