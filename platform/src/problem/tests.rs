//! The wire form of a problem, and the agreement of kinds and pages.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::to_bytes;
use serde_json::{Value, json};

use super::*;

async fn body(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_problem_has_its_wire_form() {
    let faults = vec![FieldFault { pointer: "/source".to_owned(), detail: "is empty".to_owned() }];
    let detail = "the request is well formed but breaks the rules listed in errors";
    let problem = Problem::new(Slug::Invalid, detail).with_errors(faults);
    let response = complete(problem.into_response(), "/v1/submissions", "r-1");
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(response.headers()[CONTENT_TYPE], CONTENT_TYPE_PROBLEM);
    let expected = json!({
        "type": "/problems/invalid",
        "title": "The request breaks a rule",
        "status": 422,
        "detail": detail,
        "instance": "/v1/submissions",
        "request_id": "r-1",
        "errors": [{"pointer": "/source", "detail": "is empty"}],
    });
    assert_eq!(body(response).await, expected);
}

#[tokio::test]
async fn a_wait_is_rounded_up_to_whole_seconds() {
    let response =
        Problem::unavailable("the ledger is away", Duration::from_millis(1_200)).into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "2");
}

#[tokio::test]
async fn a_response_that_is_no_problem_is_left_alone() {
    let response = complete((StatusCode::OK, "fine").into_response(), "/x", "r-1");
    assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "fine");
}

#[test]
fn kinds_and_pages_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/problems");
    let pages: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let slugs: BTreeSet<String> =
        Slug::ALL.iter().map(|slug| format!("{}.md", slug.as_str())).collect();
    assert_eq!(pages, slugs);
    for slug in Slug::ALL {
        let page = std::fs::read_to_string(folder.join(format!("{}.md", slug.as_str()))).unwrap();
        let heading = format!("# {} ({})\n", slug.title(), slug.status().as_u16());
        assert!(page.starts_with(&heading), "{} has to start with {heading:?}", slug.as_str());
    }
}
