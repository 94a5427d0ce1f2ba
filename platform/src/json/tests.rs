//! Faults of bodies: each with its pointer, all at once.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;
use tower::ServiceExt;

use super::*;

#[derive(Debug, Default, PartialEq)]
struct Submission {
    language: String,
    args: Vec<String>,
    stop: Option<bool>,
    limits: Option<Limits>,
    cases: Vec<Case>,
}

#[derive(Debug, PartialEq)]
struct Limits {
    cpu_time_ms: Option<u64>,
    processes: Option<u8>,
}

#[derive(Debug, PartialEq)]
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

impl ReadObject for Submission {
    fn read(object: &mut ObjectReader<'_>) -> Self {
        Self {
            language: object.required("language"),
            args: object.list("args").unwrap_or_default(),
            stop: object.optional("stop"),
            limits: object.object("limits"),
            cases: object.objects("cases").unwrap_or_default(),
        }
    }
}

impl ReadObject for Limits {
    fn read(object: &mut ObjectReader<'_>) -> Self {
        Self {
            cpu_time_ms: object.optional("cpu_time_ms"),
            processes: object.optional("processes"),
        }
    }
}

impl ReadObject for Case {
    fn read(object: &mut ObjectReader<'_>) -> Self {
        Self { stdin: object.required("stdin"), kind: object.optional("kind") }
    }
}

fn faults(body: Value) -> Vec<(String, String)> {
    let list = read_object::<Submission>(body).unwrap_err().into_list();
    list.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(pointer, detail)| ((*pointer).to_owned(), (*detail).to_owned())).collect()
}

#[test]
fn a_good_object_is_read_whole() {
    let body = json!({
        "language": "python", "args": ["a"], "stop": null, "limits": {"cpu_time_ms": 5},
        "cases": [{"stdin": "1", "kind": "exact"}],
    });
    let expected = Submission {
        language: "python".to_owned(),
        args: vec!["a".to_owned()],
        stop: None,
        limits: Some(Limits { cpu_time_ms: Some(5), processes: None }),
        cases: vec![Case { stdin: "1".to_owned(), kind: Some(Kind::Exact) }],
    };
    assert_eq!(read_object(body), Ok(expected));
}

#[test]
fn every_fault_is_told_at_once_with_its_pointer() {
    let body = json!({
        "args": ["a", 7, null], "stop": "yes", "limits": {"cpu_time_ms": -1, "processes": 300, "a/b~c": 0},
        "cases": [{"stdin": "1"}, {"stdin": 2, "kind": "loose"}, []], "sauce": "",
    });
    let expected = pairs(&[
        ("/language", "is required"),
        ("/args/1", "expected a string, got 7"),
        ("/args/2", "expected a string, got null"),
        ("/stop", "expected true or false, got a string"),
        ("/limits/cpu_time_ms", "expected an integer from 0 to 18446744073709551615, got -1"),
        ("/limits/processes", "expected an integer from 0 to 255, got 300"),
        ("/limits/a~1b~0c", "unknown field, expected one of cpu_time_ms, processes"),
        ("/cases/1/stdin", "expected a string, got 2"),
        ("/cases/1/kind", "unknown variant `loose`, expected `lines` or `exact`"),
        ("/cases/2", "expected an object, got an array"),
        ("/sauce", "unknown field, expected one of language, args, stop, limits, cases"),
    ]);
    assert_eq!(faults(body), expected);
}

#[test]
fn integers_take_no_fractions_and_nothing_beyond_their_range() {
    let cpu = |number: Value| {
        faults(json!({"language": "c", "limits": {"cpu_time_ms": number}})).remove(0).1
    };
    assert_eq!(cpu(json!(1.5)), "expected an integer from 0 to 18446744073709551615, got 1.5");
    assert_eq!(cpu(json!(5.0)), "expected an integer from 0 to 18446744073709551615, got 5.0");
    assert_eq!(cpu(json!(1e20)), "expected an integer from 0 to 18446744073709551615, got 1e+20");
    assert_eq!(cpu(json!("1")), "expected an integer from 0 to 18446744073709551615, got a string");
}

#[test]
fn a_body_that_is_no_object_is_one_fault_at_the_root() {
    assert_eq!(faults(json!([1])), pairs(&[("", "expected an object, got an array")]));
    assert_eq!(faults(json!(null)), pairs(&[("", "expected an object, got null")]));
}

#[test]
fn a_list_where_an_object_belongs_and_the_other_way_round() {
    let body = json!({"language": "c", "limits": [], "cases": {}});
    let expected = [
        ("/limits", "expected an object, got an array"),
        ("/cases", "expected an array, got an object"),
    ];
    assert_eq!(faults(body), pairs(&expected));
}

#[test]
fn a_flood_of_faults_is_cut_and_counted() {
    let body = json!({"language": "c", "args": vec![0; FAULTS_MAX + 20]});
    let list = faults(body);
    assert_eq!(list.len(), FAULTS_MAX + 1);
    assert_eq!(list[FAULTS_MAX].1, "20 more faults are not listed");
}

#[test]
fn a_repeated_key_is_a_fault_with_its_pointer() {
    let problem = parse(br#"{"a": [{"b": 1, "b": 2}]}"#).unwrap_err();
    assert_eq!(problem.errors()[0].pointer, "/a/0/b");
    assert_eq!(problem.errors()[0].detail, "this key stands more than once in the object");
}

#[test]
fn a_syntax_error_is_told_with_its_place() {
    let detail = |text: &str| parse(text.as_bytes()).unwrap_err().detail().to_owned();
    assert_eq!(
        detail("{\"a\":\n1,}"),
        "the body is not valid JSON: trailing comma at line 2 column 3"
    );
    assert_eq!(
        detail("{} x"),
        "the body is not valid JSON: trailing characters at line 1 column 4"
    );
    assert_eq!(detail(" \n"), "the body is empty");
    assert!(detail(&"[".repeat(100_000)).contains("recursion limit exceeded"));
    assert!(parse(b"\"\xff\"").unwrap_err().detail().contains("invalid unicode"));
    assert!(parse(b"[1e999]").unwrap_err().detail().contains("number out of range"));
}

#[test]
fn every_kind_of_value_survives_the_strict_parse() {
    let text = r#"{"a":[null,true,-1,18446744073709551615,1.5,"\u00e9\n"],"b":{}}"#;
    assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    #[serde(rename = "reason")]
    _reason: Vec<String>,
}

async fn send(content_type: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    let router: Router = Router::new()
        .route(
            "/object",
            post(|JsonObject(body): JsonObject<Submission>| async move { body.language }),
        )
        .route("/", post(|Json(_): Json<Cancel>| async { Json(json!({"ok": true})) }))
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
