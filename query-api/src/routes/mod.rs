//! The routes under `/v1`, and what they have in common: the caller, and what a caller may see.

mod events;
mod languages;
mod list;
mod progress;
mod quarantine;
mod submissions;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{MethodRouter, get};
use platform::auth::{Caller, Scope, Verifier};

use crate::app::{QueryApi, Sight};

/// Returns every path with its handlers.
// A list and not calls on the router, which cannot tell its paths: a test goes through them.
pub fn table() -> [(&'static str, MethodRouter<QueryApi>); 6] {
    [
        ("/v1/submissions", get(list::list_submissions)),
        ("/v1/submissions/{id}", get(submissions::get_submission)),
        ("/v1/submissions/{id}/events", get(events::list_events)),
        ("/v1/languages", get(languages::list_languages)),
        ("/v1/users/me/progress", get(progress::get_progress)),
        ("/v1/admin/quarantine", get(quarantine::list_quarantine)),
    ]
}

/// Returns the routes.
pub fn router() -> Router<QueryApi> {
    table().into_iter().fold(Router::new(), |routes, (path, handlers)| routes.route(path, handlers))
}

impl FromRef<QueryApi> for Arc<Verifier> {
    fn from_ref(app: &QueryApi) -> Self {
        Self::clone(app.verifier())
    }
}

/// Returns whose submissions the caller may see.
fn sight(caller: &Caller) -> Sight {
    let sees_all = caller.may(Scope::ReadAny) || caller.may(Scope::Admin);
    if sees_all { Sight::All } else { Sight::Own(caller.user.clone()) }
}
