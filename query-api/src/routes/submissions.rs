//! `GET /v1/submissions/{id}`.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, IF_NONE_MATCH};
use axum::response::Response;
use events::Submission;
use platform::auth::Caller;
use platform::params::{Query, SubmissionPath};
use platform::problem::Problem;
use serde::Deserialize;

use super::sight;
use crate::app::{LongPoll, QueryApi};
use crate::body::SubmissionBody;
use crate::caching::{Keep, Tag};
use crate::output_ages::OutputAges;

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmissionParams {
    #[serde(default)]
    wait: WaitParam,
    #[serde(default)]
    min_seq: u64,
}

/// A time to wait, in seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "f64")]
struct WaitParam(Duration);

/// The longest time to wait, in seconds.
// Under the minute after which many proxies cut off a request without an answer.
const WAIT_SECONDS_MAX: f64 = 30.0;

impl TryFrom<f64> for WaitParam {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        // NaN, which a number in a query can be, is in no range.
        if (0.0..=WAIT_SECONDS_MAX).contains(&seconds) {
            return Ok(Self(Duration::from_secs_f64(seconds)));
        }
        Err(format!("must be from 0 to {WAIT_SECONDS_MAX} seconds"))
    }
}

/// Shows a submission; with `wait`, once its state changes.
pub(super) async fn get_submission(
    State(app): State<QueryApi>,
    caller: Caller,
    SubmissionPath(id): SubmissionPath,
    Query(params): Query<SubmissionParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tag_of = |submission: &Submission, ages: &OutputAges| {
        Tag::of(id, submission.sequence).with_expired(ages.expired.len())
    };
    // A client whose tag is older than the first read has its news already, and need not wait.
    let has = |now: &Submission| {
        let tag = tag_of(now, &app.output_ages(now));
        !headers.contains_key(IF_NONE_MATCH) || tag.is_known_to(&headers)
    };
    let poll = LongPoll { wait: params.wait.0, min_seq: params.min_seq, has: &has };
    let submission = app.submission(id, &sight(&caller), poll).await?;
    let mut ages = app.output_ages(&submission);
    let keep = Keep::until_expiry(submission.state.is_terminal(), ages.next_in);
    let tag = tag_of(&submission, &ages);
    // Before the outputs are fetched, which may be several MiB that the client has already.
    if tag.is_known_to(&headers) {
        return Ok(tag.answer(&headers, keep, ()));
    }
    let fetched = app.fetch_outputs(&submission, &mut ages).await?;
    let body = SubmissionBody::of(&submission, fetched);
    // By what was found: an answer without an output that is gone is another version.
    Ok(tag_of(&submission, &ages).answer(
        &headers,
        keep,
        ([(CONTENT_TYPE, "application/json")], body.into_body()),
    ))
}
