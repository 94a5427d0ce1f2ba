//! Every route answers 401 to a caller who cannot be authenticated.

use axum::body::Body;
use axum::http::Request;
use query_api::routes;

use crate::support::{TestApp, bearer, get};

const ID: &str = "018f2f5e-0000-7000-8000-000000000000";

#[tokio::test]
async fn every_route_challenges_a_caller_who_cannot_be_authenticated() {
    let app = TestApp::new();
    let good = bearer("ada", "read:any admin");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    // The edge sends this API nothing but GET and HEAD.
    for (path, _) in routes::table() {
        let path = path.replace("{id}", ID);
        let without = app.send(Request::get(&path).body(Body::empty()).unwrap()).await;
        let with_forged = app.send(get(&path, &forged, &[])).await;
        for answer in [without, with_forged] {
            assert_eq!((answer.status.as_u16(), answer.slug()), (401, "unauthenticated"), "{path}");
            assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{path}");
        }
    }
}
