//! Path and query parameters whose rejections are problems and not plain text.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path as AxumPath, Query as AxumQuery};
use axum::http::request::Parts;
use events::SubmissionId;
use tracing::error;

use crate::problem::{Problem, Slug};

/// Parameters of the path. One that does not parse names nothing that exists: 404.
#[derive(Debug, Clone, Copy, FromRequestParts)]
#[from_request(via(AxumPath), rejection(Problem))]
pub struct Path<T>(pub T);

/// Parameters of the query. One that does not parse is 400.
#[derive(Debug, Clone, Copy, FromRequestParts)]
#[from_request(via(AxumQuery), rejection(Problem))]
pub struct Query<T>(pub T);

/// The submission that the path names.
#[derive(Debug, Clone, Copy)]
pub struct SubmissionPath(pub SubmissionId);

impl<S: Send + Sync> FromRequestParts<S> for SubmissionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await?;
        // A UUID has several spellings. Only the one that we give out names a submission, since
        // caches go by the path.
        let id = text.parse::<SubmissionId>().ok().filter(|id| id.to_string() == text);
        id.map(Self).ok_or_else(Problem::no_such_submission)
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        if rejection.status().is_client_error() {
            return Self::new(Slug::NotFound, "the path names nothing that exists");
        }
        error!(
            error = &rejection as &dyn std::error::Error,
            "a route and its handler disagree about the path"
        );
        Self::internal()
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let reason = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        Self::new(Slug::Malformed, format!("the query string cannot be understood: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use serde::Deserialize;
    use tower::ServiceExt;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wait {
        wait: Option<u32>,
    }

    async fn ask(uri: &str) -> (StatusCode, String) {
        async fn handler(Path(id): Path<uuid::Uuid>, Query(query): Query<Wait>) -> String {
            format!("{} {:?}", id.get_version_num(), query.wait)
        }
        let router: Router = Router::new().route("/{id}", get(handler));
        let response =
            router.oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        (
            status,
            String::from_utf8(to_bytes(response.into_body(), 1 << 16).await.unwrap().to_vec())
                .unwrap(),
        )
    }

    const ID: &str = "/018f2f5e-0000-7000-8000-000000000000";

    #[tokio::test]
    async fn good_parameters_arrive() {
        assert_eq!(ask(&format!("{ID}?wait=3")).await, (StatusCode::OK, "7 Some(3)".to_owned()));
    }

    #[tokio::test]
    async fn a_path_that_does_not_parse_is_404() {
        let (status, body) = ask("/17").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(body.contains("/problems/not-found"), "{body}");
    }

    #[tokio::test]
    async fn a_query_that_does_not_parse_is_400_and_names_the_parameter() {
        let (status, body) = ask(&format!("{ID}?wait=long")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("wait: invalid digit"), "{body}");
        let (status, body) = ask(&format!("{ID}?wiat=1")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("unknown field `wiat`"), "{body}");
    }
}
