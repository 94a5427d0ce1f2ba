//! Faults of bodies, each with its pointer.

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::problem::Slug;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    language: String,
    args: Option<Vec<String>>,
    stop: Option<bool>,
    limits: Option<Object<Limits>>,
    cases: Option<Vec<Object<Case>>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    cpu_time_ms: Option<u64>,
    #[serde(rename = "a/b~c")]
    escaped: Option<u8>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    stdin: String,
    kind: Option<Kind>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Lines,
    Exact,
}

/// The one fault of a body that is not a submission.
fn fault(body: &str) -> (String, String) {
    let problem = parse::<Object<Submission>>(body.as_bytes()).unwrap_err();
    assert_eq!((problem.slug(), problem.errors().len()), (Slug::Malformed, 1), "{body}");
    let fault = problem.errors()[0].clone();
    (fault.pointer, fault.detail)
}

#[test]
fn a_good_object_is_read_whole() {
    let body = json!({
        "language": "python", "args": ["a"], "stop": null, "limits": {"cpu_time_ms": 5},
        "cases": [{"stdin": "1", "kind": "exact"}],
    });
    let expected = Submission {
        language: "python".to_owned(),
        args: Some(vec!["a".to_owned()]),
        stop: None,
        limits: Some(Object(Limits { cpu_time_ms: Some(5), escaped: None })),
        cases: Some(vec![Object(Case { stdin: "1".to_owned(), kind: Some(Kind::Exact) })]),
    };
    let read: Object<Submission> = parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(read, Object(expected));
}

#[test]
fn the_first_fault_is_told_with_the_member_or_the_object_that_lacks_one() {
    for (body, pointer, detail) in [
        ("{}", "", "missing field `language`"),
        (r#"{"language": null}"#, "/language", "expected a string, got null"),
        (r#"{"args": ["a", 7, null]}"#, "/args/1", "expected a string, got integer `7`"),
        (r#"{"stop": "rm -rf"}"#, "/stop", "expected true or false, got a string"),
        (
            r#"{"limits": {"cpu_time_ms": 1.5}}"#,
            "/limits/cpu_time_ms",
            "expected u64, got floating point `1.5`",
        ),
        (r#"{"limits": {"a/b~c": 300}}"#, "/limits/a~1b~0c", "expected u8, got integer `300`"),
        (
            r#"{"limits": {"x/y": 0}}"#,
            "/limits/x~1y",
            "unknown field `x/y`, expected `cpu_time_ms` or `a/b~c`",
        ),
        (r#"{"cases": [{"stdin": "1"}, {}]}"#, "/cases/1", "missing field `stdin`"),
        (
            r#"{"cases": [{"kind": "loose"}]}"#,
            "/cases/0/kind",
            "unknown variant `loose`, expected `lines` or `exact`",
        ),
        (
            r#"{"sauce": 1, "args": 1}"#,
            "/sauce",
            "unknown field `sauce`, expected one of `language`, `args`, `stop`, `limits`, `cases`",
        ),
    ] {
        assert_eq!(fault(body), (pointer.to_owned(), detail.to_owned()), "{body}");
    }
}

#[test]
fn only_an_object_is_read_as_a_struct() {
    let got = |what: &str| format!("expected an object, got {what}");
    for (body, pointer, detail) in [
        ("[1]", "", got("an array")),
        ("null", "", got("null")),
        (r#"["c", null, null, null, null]"#, "", got("an array")),
        (r#"{"limits": [5, 5]}"#, "/limits", got("an array")),
        (r#"{"cases": [["1", "exact"]]}"#, "/cases/0", got("an array")),
        (r#"{"cases": {}}"#, "/cases", "expected an array, got an object".to_owned()),
    ] {
        assert_eq!(fault(body), (pointer.to_owned(), detail), "{body}");
    }
}

#[test]
fn a_repeated_member_is_a_fault_with_its_pointer() {
    for (body, pointer) in [
        (r#"{"language": "c", "language": "c"}"#, "/language"),
        (r#"{"limits": {"a/b~c": 1, "a/b~c": null}}"#, "/limits/a~1b~0c"),
        (r#"{"cases": [{"stdin": "", "stdin": ""}]}"#, "/cases/0/stdin"),
    ] {
        assert_eq!(fault(body), (pointer.to_owned(), "this member is repeated".to_owned()));
    }
}

#[test]
fn a_syntax_error_is_told_with_its_place() {
    let place = |text: &str| {
        let (pointer, detail) = fault(text);
        (pointer, detail.strip_prefix("this is not valid JSON: ").unwrap_or(&detail).to_owned())
    };
    let at = |pointer: &str, detail: &str| (pointer.to_owned(), detail.to_owned());
    let trailing = at("", "trailing comma at line 2 column 6");
    assert_eq!(place("{\"stop\":\ntrue,}"), trailing);
    assert_eq!(
        place("{\"args\": [nonsense]}"),
        at("/args/0", "expected ident at line 1 column 12")
    );
    let complete = r#"{"language": "c"} x"#;
    assert_eq!(place(complete), at("", "trailing characters at line 1 column 19"));
    assert_eq!(place(" \n"), at("", "the body is empty"));
    assert_eq!(place("{"), at("", "EOF while parsing an object at line 1 column 1"));
    let deep = format!("{{\"args\": {}", "[".repeat(100_000));
    assert_eq!(fault(&deep), at("/args/0", "expected a string, got an array"));
    let not_utf8 = parse::<Object<Submission>>(b"{\"language\": \"\xff\"}").unwrap_err();
    assert!(not_utf8.errors()[0].detail.contains("invalid unicode"));
    assert!(fault(r#"{"limits": {"cpu_time_ms": 1e999}}"#).1.contains("number out of range"));
}

#[test]
fn a_flood_of_faults_is_cut_and_counted() {
    let mut faults = Faults::default();
    (0..FAULTS_MAX + 20)
        .for_each(|index| faults.push(&JsonPointer::root().index(index), "is wrong"));
    let list = faults.into_list();
    assert_eq!(list.len(), FAULTS_MAX + 1);
    assert_eq!(list[FAULTS_MAX].detail, "20 more faults are not listed");
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    #[serde(rename = "reason")]
    _reason: Vec<String>,
}

async fn send(content_type: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    let router: Router = Router::new()
        .route("/", post(|JsonObject(_): JsonObject<Cancel>| async { Json(json!({"ok": true})) }))
        .layer(BodyLimit::layer(64));
    let request = Request::post("/").header(CONTENT_TYPE, content_type).body(body.into()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    (
        status,
        serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn json_in_gives_json_out() {
    for media_type in
        ["application/json", "application/json; charset=utf-8", "Application/Problem+JSON"]
    {
        assert_eq!(
            send(media_type, r#"{"reason": []}"#).await,
            (StatusCode::OK, json!({"ok": true}))
        );
    }
}

#[tokio::test]
async fn another_media_type_is_415() {
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "json", ""] {
        assert_eq!(send(media_type, "{}").await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn a_wrong_type_is_400_with_a_pointer() {
    let (status, body) = send("application/json", r#"{"reason": ["a", {}]}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        body["errors"],
        json!([{"pointer": "/reason/1", "detail": "expected a string, got an object"}])
    );
    let (_, body) = send("application/json", r#"{"why": 1}"#).await;
    assert_eq!(body["errors"][0]["pointer"], "/why");
    let (_, body) = send("application/json", "{}").await;
    assert_eq!(body["errors"], json!([{"pointer": "", "detail": "missing field `reason`"}]));
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_announced_or_not() {
    let chunks = futures::stream::iter((0..10).map(|_| Ok::<_, std::io::Error>("0123456789")));
    let (status, body) = send("application/json", Body::from_stream(chunks)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(body["detail"], "the body is larger than 64 bytes");
    let exact = format!("{{\"reason\": [\"{}\"]}}", "x".repeat(64 - 16));
    assert_eq!(exact.len(), 64);
    assert_eq!(send("application/json", exact.clone()).await.0, StatusCode::OK);
    assert_eq!(send("application/json", exact + " ").await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_408() {
    let body = Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>());
    assert_eq!(send("application/json", body).await.0, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let chunks = futures::stream::iter([Ok("{"), Err(std::io::Error::other("reset"))]);
    assert_eq!(
        send("application/json", Body::from_stream(chunks)).await.0,
        StatusCode::BAD_REQUEST
    );
}
