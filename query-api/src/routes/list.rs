//! `GET /v1/submissions`.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use events::{Lane, LanguageSlug, State as SubmissionState, UserId};
use platform::auth::{Caller, Scope};
use platform::params::Query;
use platform::problem::{Problem, Slug};
use serde::Deserialize;
use views::results::ListQuery;

use super::sight;
use crate::app::QueryApi;
use crate::body::{PageBody, SummaryBody};
use crate::cursor::Cursor;

/// The most submissions of one page.
const LIMIT_MAX: u32 = 100;
/// The submissions of a page without `limit`.
const LIMIT_DEFAULT: u32 = 20;

/// The parameters.
#[derive(Debug, Deserialize)]
// Without this a misspelt filter would select everything.
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    user: Option<UserId>,
    state: Option<SubmissionState>,
    language: Option<String>,
    lane: Option<Lane>,
    cursor: Option<Cursor>,
    #[serde(default)]
    limit: Limit,
}

/// The size of a page.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
pub(super) struct Limit(pub(super) u32);

impl Default for Limit {
    fn default() -> Self {
        Self(LIMIT_DEFAULT)
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(limit: u32) -> Result<Self, String> {
        let fits = (1..=LIMIT_MAX).contains(&limit);
        if fits { Ok(Self(limit)) } else { Err(format!("must be from 1 to {LIMIT_MAX}")) }
    }
}

/// Lists submissions, the newest first: the caller's own, or another user's if the caller may see
/// them.
pub(super) async fn list_submissions(
    State(app): State<QueryApi>,
    caller: Caller,
    Query(params): Query<ListParams>,
) -> Result<impl IntoResponse, Problem> {
    let limit = params.limit.0;
    // One more than is shown tells whether there is another page.
    let query = ListQuery {
        principal: visible_user(&caller, params.user)?,
        before: params.cursor.map(|cursor| cursor.0),
        state: params.state,
        language: params.language.map(|name| slug(&app, &name)).transpose()?,
        lane: params.lane,
        limit: limit + 1,
    };
    let mut found = app.list(&query).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| has_more);
    let next = last.map(|last| String::from(Cursor(last.accepted_sequence)));
    let items = found.iter().map(SummaryBody::from).collect();
    Ok(([(CACHE_CONTROL, "no-store")], Json(PageBody { items, next })))
}

/// Takes the user whose submissions are asked for, or answers 403 if the caller may not see them.
fn visible_user(caller: &Caller, asked: Option<UserId>) -> Result<UserId, Problem> {
    let user = asked.unwrap_or_else(|| caller.user.clone());
    if !sight(caller).covers(&user) {
        caller.require(Scope::ReadAny)?;
    }
    Ok(user)
}

/// Finds a language by its slug or an alias.
fn slug(app: &QueryApi, name: &str) -> Result<LanguageSlug, Problem> {
    // A name that the catalog does not have counts as a slug: submissions in a language that is not
    // offered any more can still be listed.
    let known = app.catalog().find(name).map_or(name, |language| language.slug.as_str());
    known.parse().map_err(|error| Problem::new(Slug::Malformed, format!("language: {error}")))
}
