//! The routes under `/v1`, and what they have in common: the callers, and the body of every 202.

mod cancellations;
mod submissions;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::routing::{MethodRouter, post};
use events::{State, SubmissionId};
use platform::auth::{Caller, Scope, Verifier};
use platform::http::TraceParent;
use platform::problem::Problem;
use serde::Serialize;

use crate::app::{Acknowledgement, App, Requester};

/// Returns every path with its handlers. The router is made from this list, and a test goes through
/// it.
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

impl FromRef<App> for Arc<Verifier> {
    fn from_ref(app: &App) -> Self {
        Self::clone(app.verifier())
    }
}

/// Who asks, from the token and the trace of a request.
fn requester(caller: &Caller, parts: &Parts) -> Requester {
    let traceparent = parts.extensions.get::<TraceParent>();
    Requester {
        user: caller.user.clone(),
        traceparent: traceparent.map(|it| it.as_str().to_owned()),
    }
}

/// A caller with the scope `submit`. The scope is checked before the body is read.
struct Submitter(Requester);

impl FromRequestParts<App> for Submitter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.require(Scope::Submit)?;
        Ok(Self(requester(&caller, parts)))
    }
}

/// A caller who may cancel: every submission with the scope `admin`, else the caller's own.
struct Canceller {
    requester: Requester,
    is_admin: bool,
}

impl FromRequestParts<App> for Canceller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let is_admin = caller.may(Scope::Admin);
        if !is_admin {
            caller.require(Scope::Submit)?;
        }
        Ok(Self { requester: requester(&caller, parts), is_admin })
    }
}

/// The body of every 202.
#[derive(Debug, Serialize)]
struct AcknowledgementBody {
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

impl From<Acknowledgement> for AcknowledgementBody {
    fn from(acknowledgement: Acknowledgement) -> Self {
        let Acknowledgement { id, sequence, state } = acknowledgement;
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
