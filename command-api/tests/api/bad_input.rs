//! The table of bad input, row by row. Whatever is refused leaves nothing in the ledger.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{BODY_BYTES_MAX, TestApp, hello, post};

/// A status, a problem's slug, and the faults' pointers.
type Expected<'a> = (u16, &'a str, &'a [&'a str]);

async fn refused(body: impl Into<Body>, (status, slug, pointers): Expected<'_>) {
    let app = TestApp::new();
    let answer = app.send(post("/v1/submissions", "ada").body(body.into()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (status, slug), "{answer:?}");
    if !pointers.is_empty() {
        assert_eq!(answer.pointers(), pointers, "{answer:?}");
    }
    assert_eq!(answer.body["instance"], "/v1/submissions");
    assert_eq!(answer.body["request_id"], answer.header("x-request-id"));
    assert_eq!(app.event_count().await, 0);
    assert!(app.objects.stored().is_empty());
}

#[tokio::test]
async fn what_is_no_json_is_400() {
    for body in ["", "{", "nonsense", "{\"language\": \"python\",}", "\u{feff}{}"] {
        refused(body, (400, "malformed", &[])).await;
    }
    refused(vec![0xff, 0xfe], (400, "malformed", &[])).await;
}

#[tokio::test]
async fn a_malformed_body_is_400_with_the_pointer_of_its_first_fault() {
    let rows = [
        (r#"{"language": 1, "sauce": "x"}"#, "/language"),
        (r#"{"language": "c", "source": []}"#, "/source"),
        (r#"{"compiler_options": ["-g", 1]}"#, "/compiler_options/1"),
        (r#"{"limits": {"cpu": 1}}"#, "/limits/cpu"),
        (r#"{"cases": [{"expected": "1"}, {"expected": 2}]}"#, "/cases/1/expected"),
        (r#"{"x/y": 0, "language": 1}"#, "/x~1y"),
        (r#"{"language": "c", "language": "c"}"#, "/language"),
        (r#"{"limits": {"processes": 1, "processes": 1}}"#, "/limits/processes"),
        (r#"{"checker": {"type": "lines", "type": "lines"}}"#, "/checker/type"),
        ("[]", ""),
        (r#"["c", "int x;", null, null, null, null, null, null, null, null, null]"#, ""),
        (r#"{"language": "c", "files": [["a.c", "int x;"]]}"#, "/files/0"),
        (r#"{"language": "c", "limits": [1, 1, 1, 1, 1, 1, 1]}"#, "/limits"),
        ("{", ""),
        (r#"{"language": }"#, "/language"),
    ];
    for (body, pointer) in rows {
        refused(body, (400, "malformed", &[pointer])).await;
    }
}

#[tokio::test]
async fn a_missing_member_is_400_with_the_pointer_of_the_object_that_lacks_it() {
    for (body, pointer) in [
        (r#"{"source": "x"}"#, ""),
        (r#"{"language": "c", "files": [{"name": "a.c"}]}"#, "/files/0"),
        (r#"{"language": "c", "source": "x", "cases": [{"expected": ""}, {}]}"#, "/cases/1"),
        (r#"{"language": "c", "source": "x", "checker": {}}"#, "/checker"),
    ] {
        refused(body, (400, "malformed", &[pointer])).await;
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let body = json!({"language": "python", "source": "#".repeat(BODY_BYTES_MAX)});
    refused(body.to_string(), (413, "too-large", &[])).await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken() {
    let around = json!({"language": "python", "source": ""}).to_string().len();
    let body = json!({"language": "python", "source": "#".repeat(BODY_BYTES_MAX - around)});
    assert_eq!(body.to_string().len(), BODY_BYTES_MAX);
    assert_eq!(TestApp::new().submit(&body).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn each_broken_rule_is_422_with_its_pointer() {
    let rows: [(Value, &[&str]); 14] = [
        (json!({"language": "cobol"}), &["/language"]),
        (json!({"source": ""}), &["/source"]),
        (json!({"files": [{"name": "a.py", "content": "1"}]}), &["/files"]),
        (json!({"source": null}), &[""]),
        (json!({"limits": {"cpu_time_ms": 15_001}}), &["/limits/cpu_time_ms"]),
        (json!({"limits": {"memory_kib": u64::MAX}}), &["/limits/memory_kib"]),
        (json!({"encoding": "base64"}), &["/source"]),
        (json!({"encoding": "utf-16"}), &["/encoding"]),
        (json!({"cases": []}), &["/cases"]),
        (json!({"cases": vec![json!({"expected": ""}); 257]}), &["/cases"]),
        (json!({"args": vec![""; 65]}), &["/args"]),
        (json!({"compiler_options": "x ".repeat(65)}), &["/compiler_options"]),
        (json!({"checker": "eyes"}), &["/checker"]),
        (json!({"stdin": "x", "cases": [{"expected": ""}]}), &["/stdin"]),
    ];
    for (members, pointers) in rows {
        let mut body = hello();
        for (key, value) in members.as_object().unwrap() {
            body[key] = value.clone();
        }
        refused(body.to_string(), (422, "invalid", pointers)).await;
    }
}

#[tokio::test]
async fn bad_paths_are_422_each_with_its_pointer() {
    let names = ["ok.c", "../a", "/a", "a\u{0}b", "ok.c", "", "d/", "ok.c/x"];
    let files: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "content": "int x;"})).collect();
    let body = json!({"language": "c", "files": files});
    let app = TestApp::new();
    let answer = app.submit(&body).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (422, "invalid"));
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    let expected = [0, 1, 2, 3, 4, 5, 6].map(|index| format!("/files/{index}/name"));
    assert_eq!(pointers, expected);
}

#[tokio::test]
async fn too_many_files_are_422() {
    let file = |index: usize| json!({"name": format!("f{index}.c"), "content": "1"});
    let files: Vec<Value> = (0..65).map(file).collect();
    refused(json!({"language": "c", "files": files}).to_string(), (422, "invalid", &["/files"]))
        .await;
}

#[tokio::test]
async fn every_fault_is_told_at_once() {
    let body =
        json!({"language": "cobol", "source": "", "checker": "eyes", "limits": {"processes": 0}});
    let pointers = ["/language", "/source", "/limits/processes", "/checker"];
    refused(body.to_string(), (422, "invalid", &pointers)).await;
}

#[tokio::test]
async fn another_media_type_is_415() {
    let app = TestApp::new();
    let mut request = post("/v1/submissions", "ada").body(hello().to_string().into()).unwrap();
    request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    let answer = app.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (415, "unsupported-media-type"));
}

#[tokio::test]
async fn bad_keys_are_400() {
    let app = TestApp::new();
    for key in ["", &"k".repeat(256)] {
        let answer = app.submit_under("ada", key, &hello()).await;
        assert_eq!((answer.status.as_u16(), answer.slug()), (400, "malformed"), "{key:?}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let app = TestApp::new();
    let answer = app.post("ada", "/v1/submission", &hello()).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (404, "not-found"));
    let request = axum::http::Request::delete("/v1/submissions").body(Body::empty()).unwrap();
    let answer = app.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (405, "method-not-allowed"));
    assert_eq!(answer.header("allow"), "POST");
}
