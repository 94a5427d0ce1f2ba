//! `GET /v1/languages`.

use axum::http::StatusCode;
use sandbox::languages::Catalog;
use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn every_language_is_told() {
    let answer = TestApp::new().get("/v1/languages").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let languages = answer.body["languages"].as_array().unwrap();
    assert_eq!(languages.len(), Catalog::builtin().languages().len());
    let cpp = languages.iter().find(|language| language["slug"] == "cpp").unwrap();
    assert_eq!((&cpp["name"], &cpp["compiled"]), (&json!("C++"), &json!(true)));
    assert_eq!(cpp["source_file"], "main.cpp");
    assert!(cpp["aliases"].as_array().unwrap().contains(&json!("c++")));
}

#[tokio::test]
async fn the_list_may_be_kept_and_asked_about() {
    let app = TestApp::new();
    let first = app.get("/v1/languages").await;
    assert_eq!(first.header("cache-control"), "private, max-age=3600");
    let same = app.get_with("/v1/languages", &[("if-none-match", first.header("etag"))]).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
}
