//! The routes under `/v1`, and what they have in common: the caller, and what a caller may see.

mod events;
mod languages;
mod list;
mod progress;
mod submissions;

use std::sync::Arc;

use ::events::{SubmissionId, UserId};
use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::routing::{MethodRouter, get};
use platform::auth::{Caller, Scope, Verifier};
use platform::params::Path;
use platform::problem::Problem;

use crate::app::{App, Sight};

/// Returns every path with its handlers. The router is made from this list, and a test goes through it.
pub fn table() -> [(&'static str, MethodRouter<App>); 5] {
    [
        ("/v1/submissions", get(list::list_submissions)),
        ("/v1/submissions/{id}", get(submissions::get_submission)),
        ("/v1/submissions/{id}/events", get(events::list_events)),
        ("/v1/languages", get(languages::list_languages)),
        ("/v1/users/me/progress", get(progress::get_progress)),
    ]
}

/// Returns the routes.
pub fn router() -> Router<App> {
    table().into_iter().fold(Router::new(), |routes, (path, handlers)| routes.route(path, handlers))
}

/// The caller.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) user: UserId,
    caller: Caller,
}

impl Asking {
    /// Returns whose submissions the caller may see.
    pub(crate) fn sight(&self) -> Sight {
        let sees_all = self.caller.may(Scope::ReadAny) || self.caller.may(Scope::Admin);
        if sees_all { Sight::All } else { Sight::Own(self.user.clone()) }
    }

    /// Takes a user whose submissions the caller may see, or answers 403.
    pub(crate) fn may_see(&self, user: UserId) -> Result<UserId, Problem> {
        if self.sight().covers(&user) {
            return Ok(user);
        }
        self.caller.require(Scope::ReadAny).map(|()| user)
    }
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
        Ok(Self { user, caller })
    }
}

/// The submission of the path. Only the one spelling that we give out names one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named(pub(crate) SubmissionId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await?;
        let id = text.parse::<SubmissionId>().ok().filter(|id| id.to_string() == text);
        id.map(Self)
            .ok_or_else(|| Problem::not_found("there is no such submission, or it is not yours"))
    }
}
