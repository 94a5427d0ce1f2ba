//! Every route answers 401 to whoever cannot be believed. The table must name every route.

use axum::body::Body;
use axum::http::Request;

use crate::support::{TestApp, bearer, get};

/// Every route under `/v1`.
const ROUTES: [&str; 5] = [
    "/v1/submissions",
    "/v1/submissions/{id}",
    "/v1/submissions/{id}/events",
    "/v1/languages",
    "/v1/users/me/progress",
];
const ID: &str = "018f2f5e-0000-7000-8000-000000000000";

#[test]
fn the_table_names_every_route() {
    let source = include_str!("../../src/routes/mod.rs");
    let in_source: Vec<&str> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(in_source, ROUTES);
}

#[tokio::test]
async fn every_route_challenges_whoever_cannot_be_believed() {
    let app = TestApp::new();
    let good = bearer("ada", "read:any admin");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for path in ROUTES.map(|path| path.replace("{id}", ID)) {
        let without = app.send(Request::get(&path).body(Body::empty()).unwrap()).await;
        let with_forged = app.send(get(&path, &forged, &[])).await;
        for answer in [without, with_forged] {
            assert_eq!((answer.status.as_u16(), answer.slug()), (401, "unauthenticated"), "{path}");
            assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{path}");
        }
    }
}
