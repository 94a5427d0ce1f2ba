//! The frame seen from outside: in process, and over real sockets where the socket is the matter.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use events::IdSource;
use events::testing::SeededIds;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tower::ServiceExt;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;

use super::observe::middleware_with;
use super::*;
use crate::json::JsonObject;
use crate::problem::{Problem, Slug};
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;

#[derive(serde::Deserialize)]
struct Anything {
    #[serde(rename = "anything")]
    _anything: Option<String>,
}

async fn echo(
    Extension(id): Extension<RequestId>,
    parent: Option<Extension<TraceParent>>,
) -> String {
    let parent = parent.map_or_else(|| "none".to_owned(), |parent| parent.as_str().to_owned());
    format!("{} {parent}", id.as_str())
}

async fn fail() {
    panic!("planted");
}

async fn refuse() -> Problem {
    Problem::new(Slug::Conflict, "no")
}

fn routes() -> Router {
    Router::new()
        .route("/things/{id}", get(echo))
        .route("/panic", get(fail))
        .route("/read", post(|JsonObject(_): JsonObject<Anything>| async {}))
        .route("/refuse", post(refuse))
}

fn framed() -> Router {
    middleware_with(routes(), Arc::new(SeededIds::new(1)))
}

async fn ask(
    router: Router,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
) -> (Response, String) {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    (Response::from_parts(parts, Body::empty()), text)
}

#[tokio::test]
async fn a_request_has_an_id_in_handler_and_answer() {
    let drawn = SeededIds::new(1).new_id().to_string();
    let (response, body) = ask(framed(), Method::GET, "/things/7", &[]).await;
    assert_eq!(body, format!("{drawn} none"));
    assert_eq!(response.headers()[REQUEST_ID_HEADER], drawn);
    let (response, _) =
        ask(framed(), Method::GET, "/things/7", &[("x-request-id", "edge-1")]).await;
    assert_eq!(response.headers()[REQUEST_ID_HEADER], "edge-1");
}

#[tokio::test]
async fn a_trace_parent_reaches_the_handler() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("x-request-id", "r"), ("traceparent", parent)];
    assert_eq!(ask(framed(), Method::GET, "/things/7", &headers).await.1, format!("r {parent}"));
}

#[tokio::test]
async fn problems_are_completed_with_path_and_id() {
    let (response, body) =
        ask(framed(), Method::GET, "/nowhere?x=1", &[("x-request-id", "r")]).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["instance"], &body["request_id"]), (&json!("/nowhere"), &json!("r")));
    assert_eq!(body["type"], "/problems/not-found");
}

#[tokio::test]
async fn a_method_that_is_not_taken_is_405_with_those_that_are() {
    let (response, body) = ask(framed(), Method::DELETE, "/refuse", &[]).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "POST");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["content-length"], body.len().to_string());
}

#[tokio::test]
async fn a_panic_is_a_500_with_a_fixed_text() {
    let (response, body) = ask(framed(), Method::GET, "/panic", &[("x-request-id", "r")]).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["request_id"], "r");
    assert!(!body.to_string().contains("planted"));
}

#[tokio::test]
async fn metrics_go_by_route_and_not_by_path() {
    let (recorder, metrics) = Metrics::local().unwrap();
    let _guard = metrics::set_default_local_recorder(&recorder);
    ask(framed(), Method::GET, "/things/7", &[]).await;
    ask(framed(), Method::GET, "/things/8", &[]).await;
    ask(framed(), Method::from_bytes(b"BREW").unwrap(), "/nowhere", &[]).await;
    let text = metrics.render();
    for line in [
        "http_requests_total{method=\"GET\",route=\"/things/{id}\",status=\"200\"} 2",
        "http_requests_total{method=\"OTHER\",route=\"unmatched\",status=\"404\"} 1",
        "http_request_duration_seconds_count{method=\"GET\",route=\"/things/{id}\"} 2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        // While there is only one subscriber, tracing asks the thread that meets a line first
        // whether it is wanted, and that may be another test's thread, which has none.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
        LazyLock::force(&SECOND);
        let lines = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || lines.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn requests(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == "request").collect()
    }
}

#[tokio::test]
async fn one_line_is_logged_for_each_request_at_its_end() {
    let lines = Lines::default();
    let _guard = lines.capture();
    ask(
        framed(),
        Method::GET,
        "/things/7",
        &[("x-request-id", "r"), ("authorization", "Bearer hidden")],
    )
    .await;
    let logged = lines.requests();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0]["http.route"], "/things/{id}");
    assert_eq!(logged[0]["http.status"], 200);
    assert_eq!(logged[0]["spans"][0]["request.id"], "r");
    assert!(logged[0]["elapsed_ms"].is_number());
    assert!(!logged[0].to_string().contains("hidden"));
}

#[tokio::test]
async fn a_client_that_leaves_early_is_told_of_as_well() {
    let lines = Lines::default();
    let _guard = lines.capture();
    let router = middleware(Router::new().route("/slow", get(std::future::pending::<()>)));
    let answer = router.oneshot(Request::get("/slow").body(Body::empty()).unwrap());
    tokio::time::timeout(Duration::from_millis(1), answer).await.unwrap_err();
    assert_eq!(lines.requests()[0]["http.status"], 499);
}

async fn health(checks: health::HealthChecks, uri: &str) -> (StatusCode, Value) {
    let (_, metrics) = Metrics::local().unwrap();
    let (response, body) =
        ask(middleware(health::router(&checks, metrics)), Method::GET, uri, &[]).await;
    (response.status(), serde_json::from_str(&body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_service_is_ready_when_every_check_is_well() {
    let checks = health::HealthChecks::new()
        .with("db", || async { Ok(()) })
        .with("queue", || async { Ok(()) });
    let well = json!({"status": "ok", "checks": {"db": {"ok": true}, "queue": {"ok": true}}});
    assert_eq!(health(checks.clone(), "/health/ready").await, (StatusCode::OK, well));
    let sick = checks
        .clone()
        .with("docker", || async { Err("no socket".to_owned()) })
        .with("late", std::future::pending);
    let (status, body) = health(sick.clone(), "/health/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["status"], "unavailable");
    assert_eq!(body["checks"]["docker"], json!({"ok": false, "detail": "no socket"}));
    assert_eq!(body["checks"]["late"], json!({"ok": false, "detail": "no answer within 2000 ms"}));
    assert_eq!(body["checks"]["db"], json!({"ok": true}));
    assert_eq!(
        health(sick.clone(), "/health/live").await,
        (StatusCode::OK, json!({"status": "ok"}))
    );
    assert_eq!(health(sick.clone(), "/health/db").await.0, StatusCode::OK);
    assert_eq!(health(sick.clone(), "/health/docker").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health(sick, "/health/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn metrics_are_rendered_as_text() {
    let (recorder, metrics) = Metrics::local().unwrap();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("ledger_appends_total").increment(3);
    });
    let router = health::router(&health::HealthChecks::new(), metrics);
    let (response, body) = ask(router, Method::GET, "/metrics", &[]).await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(body.contains("ledger_appends_total 3"));
}

#[tokio::test]
async fn a_check_may_have_something_to_tell_although_all_is_well() {
    let checks = health::HealthChecks::new()
        .telling("quiet", || async { Ok(None) })
        .telling("views", || async { Ok(Some("one is old".to_owned())) });
    let (status, body) = health(checks, "/health/ready").await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ok")));
    assert_eq!(body["checks"]["views"], json!({"ok": true, "detail": "one is old"}));
    assert_eq!(body["checks"]["quiet"], json!({"ok": true}));
}

async fn start(router: Router) -> (std::net::SocketAddr, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let stop = shutdown.clone();
    shutdown.spawn(async move { serve(router, listener, &stop).await.unwrap() });
    (address, shutdown)
}

/// Sends a whole request without reading, as simple clients do, and reads the answer after it.
async fn send_then_read(
    address: std::net::SocketAddr,
    path: &str,
    body_bytes: usize,
) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {body_bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b' '; body_bytes]).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

const FINISH: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_sends_too_much() {
    let (address, shutdown) = start(framed()).await;
    for (path, status) in
        [("/read", "413"), ("/refuse", "409"), ("/nowhere", "404"), ("/things/1", "405")]
    {
        for body_bytes in [(1 << 20) + 1, 8 << 20] {
            let answer = send_then_read(address, path, body_bytes).await.unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{path} {body_bytes}: {answer:.80}"
            );
            assert!(answer.contains("\"request_id\":"), "{answer}");
        }
    }
    shutdown.finish(FINISH).await.unwrap();
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends() {
    let (address, shutdown) = start(framed()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n\
                content-type: application/json\r\ncontent-length: 9000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:.80}");
    shutdown.finish(FINISH).await.unwrap();
}

#[tokio::test]
async fn the_stop_lets_a_request_in_flight_finish_and_takes_no_other() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, gate) = (entered.clone(), leave.clone());
    let handler = move || async move {
        inside.notify_one();
        gate.notified().await;
        "done"
    };
    let (address, shutdown) = start(middleware(Router::new().route("/", get(handler)))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    entered.notified().await;
    shutdown.trigger();
    let finished = shutdown.finish(FINISH);
    leave.notify_one();
    let mut answer = String::new();
    let (finished, read) = tokio::join!(finished, stream.read_to_string(&mut answer));
    finished.unwrap();
    read.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
}
