//! Every route but health and metrics answers 401 to a caller who cannot be authenticated.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use command_api::routes;

use crate::support::{TestApp, hello, token};

const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const ID: &str = "018f2f5e-0000-7000-8000-000000000000";

#[tokio::test]
async fn every_route_challenges_a_caller_who_cannot_be_authenticated() {
    let app = TestApp::new();
    let expired = token("ada", "submit", 1_799_999_999);
    let good = token("ada", "submit", 1_800_000_060);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    // {"alg":"none"} over the same claims.
    let unsigned = format!("Bearer eyJhbGciOiJub25lIn0.{}.", head.split('.').nth(1).unwrap());
    for authorization in [None, Some(&expired), Some(&forged), Some(&unsigned)] {
        for (path, _) in routes::table() {
            let mut challenged = 0;
            for method in METHODS {
                let mut request = Request::builder().method(method).uri(path.replace("{id}", ID));
                if let Some(value) = authorization {
                    request = request.header("authorization", value);
                }
                let answer = app.send(request.body(Body::from(hello().to_string())).unwrap()).await;
                // A method that the path does not have is the only other answer.
                if answer.status == StatusCode::METHOD_NOT_ALLOWED {
                    continue;
                }
                challenged += 1;
                assert_eq!(
                    (answer.status.as_u16(), answer.slug()),
                    (401, "unauthenticated"),
                    "{path}"
                );
                assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{path}");
            }
            assert!(challenged > 0, "{path} has no handler");
        }
    }
    assert_eq!(app.event_count().await, 0);
}

#[tokio::test]
async fn health_and_metrics_are_open() {
    let app = TestApp::new();
    for path in ["/health/live", "/health/ready", "/metrics"] {
        let answer = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
    }
}
