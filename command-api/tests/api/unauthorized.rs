//! Every route but health and metrics answers 401 to whoever cannot be believed. The table must name every route.

use axum::body::Body;
use axum::http::{Method, Request};

use crate::support::{TestApp, hello, token};

/// Every route under `/v1`.
const ROUTES: [(Method, &str); 2] =
    [(Method::POST, "/v1/submissions"), (Method::POST, "/v1/submissions/{id}/cancel")];
const ID: &str = "018f2f5e-0000-7000-8000-000000000000";

#[test]
fn the_table_names_every_route() {
    let source = include_str!("../../src/routes/mod.rs");
    let in_source: Vec<&str> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(in_source, ROUTES.map(|(_, path)| path));
}

#[tokio::test]
async fn every_route_challenges_whoever_cannot_be_believed() {
    let app = TestApp::new();
    let expired = token("ada", "submit", 1_799_999_999);
    let good = token("ada", "submit", 1_800_000_060);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    // {"alg":"none"} over the same claims.
    let unsigned = format!("Bearer eyJhbGciOiJub25lIn0.{}.", head.split('.').nth(1).unwrap());
    for authorization in [None, Some(&expired), Some(&forged), Some(&unsigned)] {
        for (method, path) in ROUTES {
            let mut request = Request::builder().method(method).uri(path.replace("{id}", ID));
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let answer = app.send(request.body(Body::from(hello().to_string())).unwrap()).await;
            assert_eq!((answer.status.as_u16(), answer.slug()), (401, "unauthenticated"), "{path}");
            assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{path}");
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
