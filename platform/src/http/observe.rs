//! The one layer around a whole router.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use events::IdSource;
use futures::FutureExt;
use tracing::field::Empty;
use tracing::{Instrument, error_span};

use super::drain::Drain;
use super::report::Report;
use super::{REQUEST_ID_HEADER, RequestId, TraceParent};
use crate::ids::RandomIds;
use crate::problem::{self, Problem};

/// Puts the frame around a router that has all its routes: routes added later are outside it.
pub fn middleware<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    middleware_with(router, Arc::new(RandomIds))
}

/// Does what [`middleware`] does, with request ids from a source of the caller's.
pub(super) fn middleware_with<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    ids: Arc<dyn IdSource>,
) -> Router<S> {
    router
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn_with_state(ids, observe))
}

async fn observe(
    State(ids): State<Arc<dyn IdSource>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::from_headers(request.headers(), ids.as_ref());
    request.extensions_mut().insert(id.clone());
    if let Some(parent) = TraceParent::from_headers(request.headers()) {
        request.extensions_mut().insert(parent);
    }
    // The span has the level of errors, so that no filter takes the request's id away from a line.
    let span = error_span!("request", request.id = id.as_str(), user.id = Empty);
    answer(request, next, id).instrument(span).await
}

async fn answer(mut request: Request, next: Next, id: RequestId) -> Response {
    let report = Report::start(&request);
    let path = request.uri().path().to_owned();
    let drain = Drain::lend(&mut request);
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    // The panic hook has logged the panic already.
    let answer = answer.unwrap_or_else(|_| Problem::internal().into_response());
    // The rest of the body is read before the answer is sent: a connection that is closed on unread
    // bytes is reset.
    if let Some(drain) = drain {
        drain.finish().await;
    }
    let mut response = problem::complete(answer, &path, id.as_str());
    response.headers_mut().insert(REQUEST_ID_HEADER, id.header());
    report.answered(response.status());
    response
}
