//! The routes under `/v1`, and what they have in common: the caller, and the answer that says where a submission stands.

mod cancellations;
mod submissions;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::routing::{MethodRouter, post};
use events::{State, SubmissionId, UserId};
use platform::auth::{Caller, Verifier};
use platform::http::TraceParent;
use platform::problem::Problem;
use serde::Serialize;

use crate::app::{App, Origin, Standing};

/// Returns every path with its handlers. The router is made from this list, and a test goes through it.
pub fn table() -> [(&'static str, MethodRouter<App>); 2] {
    [
        ("/v1/submissions", post(submissions::create_submission)),
        ("/v1/submissions/{id}/cancel", post(cancellations::cancel_submission)),
    ]
}

/// Returns the routes.
pub fn router() -> Router<App> {
    table().into_iter().fold(Router::new(), |routes, (path, handlers)| routes.route(path, handlers))
}

/// A caller, and whether it is one that may do anything to anybody's.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) caller: Caller,
    pub(crate) origin: Origin,
}

impl<S> FromRequestParts<S> for Asking
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let user = caller.subject().as_str().parse::<UserId>();
        let user = user.map_err(|error| Problem::forbidden(error.to_string()))?;
        let traceparent = parts.extensions.get::<TraceParent>().map(|it| it.as_str().to_owned());
        Ok(Self { caller, origin: Origin { user, traceparent } })
    }
}

/// The body of every 202.
#[derive(Debug, Serialize)]
struct StandingBody {
    id: SubmissionId,
    sequence: u64,
    state: State,
    links: Links,
}

#[derive(Debug, Serialize)]
struct Links {
    #[serde(rename = "self")]
    itself: String,
    events: String,
    cancel: String,
}

impl From<Standing> for StandingBody {
    fn from(standing: Standing) -> Self {
        let Standing { id, sequence, state } = standing;
        let itself = path(id);
        let links = Links {
            events: format!("{itself}/events"),
            cancel: format!("{itself}/cancel"),
            itself,
        };
        Self { id, sequence, state, links }
    }
}

fn path(id: SubmissionId) -> String {
    format!("/v1/submissions/{id}")
}
