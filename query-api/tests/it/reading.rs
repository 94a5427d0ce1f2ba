//! `GET /v1/submissions/{id}`: every member of the contract, in every state.

use axum::http::StatusCode;
use events::event::Completed;
use events::{Captured, Content, Exit, ObjectBucket, StopCause, Verdict};
use ledger::ObjectStore as _;
use serde_json::{Value, json};

use crate::support::{
    Story, TestApp, accepted, bearer, case_result, completed, get, judged, path, text, with_cases,
};

const AT: &str = "2027-01-15T08:00:00.123456Z";

/// What a submission looks like before anything has happened to it.
fn fresh(story: &Story) -> Value {
    json!({
        "id": story.id(), "state": "accepted", "verdict": null,
        "language": {"slug": "python", "version": "3.11"}, "lane": "run", "attempt": 0,
        "accepted_at": AT, "started_at": null, "compiled_at": null, "cancellation_requested_at": null,
        "finished_at": null, "exit_code": null, "signal": null, "limit": null,
        "stdout": null, "stderr": null, "compile_output": null,
        "usage": null, "compile_usage": null, "cases": [], "score": null, "failure": null,
        "ran_version": null, "image_digest": null, "isolation": null, "sequence": story.sequence(),
    })
}

/// The same with some members replaced.
fn but(mut body: Value, members: &Value) -> Value {
    for (key, value) in members.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// Asks twice, before and after the view has caught up, and expects the same.
async fn shows(app: &TestApp, story: &Story, expected: &Value) {
    let from_ledger = app.get(&path(story.id())).await;
    assert_eq!(from_ledger.status, StatusCode::OK, "{from_ledger:?}");
    assert_eq!(from_ledger.body, *expected);
    app.project(story.id()).await;
    let from_view = app.get(&path(story.id())).await;
    assert_eq!(from_view.bytes, from_ledger.bytes);
}

#[tokio::test]
async fn an_accepted_submission_has_every_member() {
    let app = TestApp::new();
    let story = app.story().await;
    shows(&app, &story, &fresh(&story)).await;
}

#[tokio::test]
async fn a_running_one_tells_its_attempt() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    let members = json!({
        "state": "running", "attempt": 1, "started_at": AT, "ran_version": "3.11", "image_digest": "sha256:abc", "isolation": "single-use",
    });
    shows(&app, &story, &but(fresh(&story), &members)).await;
}

#[tokio::test]
async fn a_finished_run_tells_outputs_and_usage() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    story.compile(Captured { content: text("warning"), bytes_total: 7, truncated: false }).await;
    story.complete(completed()).await;
    let members = json!({
        "state": "completed", "verdict": "finished", "attempt": 1, "started_at": AT, "compiled_at": AT,
        "finished_at": AT, "exit_code": 0,
        "stdout": "hi\n", "stdout_bytes": 3, "stdout_truncated": false,
        "stderr": "", "stderr_bytes": 0, "stderr_truncated": false,
        "compile_output": "warning", "compile_output_bytes": 7, "compile_output_truncated": false,
        "usage": {"cpu_ms": 12.345, "wall_ms": 20.0, "discounted_ms": 1.5, "memory_kib": 9000},
        "compile_usage": {"cpu_ms": 12.345, "wall_ms": 20.0, "discounted_ms": 1.5, "memory_kib": 9000},
        "ran_version": "3.11", "image_digest": "sha256:abc", "isolation": "single-use",
    });
    shows(&app, &story, &but(fresh(&story), &members)).await;
}

#[tokio::test]
async fn a_program_that_never_ran_has_used_nothing() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    let (verdict, exit) = (Verdict::CompileError, None);
    story.complete(Completed { verdict, exit, ..completed() }).await;
    let body = app.get(&path(story.id())).await.body;
    assert_eq!((&body["verdict"], &body["usage"]), (&json!("compile_error"), &Value::Null));
}

#[tokio::test]
async fn outputs_that_are_no_text_or_large_or_cut_are_told_as_they_are() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    let large = "x".repeat(100_000);
    let bytes = large.clone().into_bytes();
    let object = app.outputs.put(ObjectBucket::Outputs, bytes).await.unwrap();
    story
        .complete(Completed {
            verdict: Verdict::OutputLimit,
            exit: Some(Exit::Signal(9)),
            stopped_by: Some(StopCause::Output),
            stdout: Captured {
                content: Content::Object(object),
                bytes_total: 5_000_000,
                truncated: true,
            },
            stderr: Captured {
                content: Content::Base64(vec![0xff, 0]),
                bytes_total: 2,
                truncated: false,
            },
            ..completed()
        })
        .await;
    let body = app.get(&path(story.id())).await.body;
    assert_eq!((&body["verdict"], &body["limit"]), (&json!("output_limit"), &json!("output")));
    assert_eq!((&body["exit_code"], &body["signal"]), (&Value::Null, &json!(9)));
    assert_eq!(body["stdout"], large);
    assert_eq!(
        (&body["stdout_bytes"], &body["stdout_truncated"]),
        (&json!(5_000_000), &json!(true))
    );
    assert_eq!(body.get("stdout_encoding"), None);
    assert_eq!((&body["stderr"], &body["stderr_encoding"]), (&json!("/wA="), &json!("base64")));
}

#[tokio::test]
async fn an_output_that_cannot_be_fetched_now_is_503() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    let object = app.outputs.put(ObjectBucket::Outputs, b"lost".to_vec()).await.unwrap();
    let stdout = Captured { content: Content::Object(object), bytes_total: 4, truncated: false };
    story.complete(Completed { stdout, ..completed() }).await;
    app.outputs.go_away(true);
    let answer = app.get(&path(story.id())).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), "2");
    app.outputs.go_away(false);
    assert_eq!(app.get(&path(story.id())).await.body["stdout"], "lost");
}

#[tokio::test]
async fn cases_are_told_one_by_one_and_in_sum() {
    let app = TestApp::new();
    let mut story = Story::begin(&app.ledger, with_cases(accepted("ada"), 2)).await;
    story.start().await;
    story.judge(0, vec![case_result(0, Verdict::Accepted)]).await;
    let passed = json!({
        "index": 0, "name": "a\u{0}b", "verdict": "accepted", "exit_code": 0, "signal": null, "points": 2,
        "usage": {"cpu_ms": 12.345, "wall_ms": 20.0, "discounted_ms": 1.5, "memory_kib": 9000},
    });
    let half = app.get(&path(story.id())).await.body;
    assert_eq!((&half["state"], &half["cases"]), (&json!("running"), &json!([passed])));
    assert_eq!(half["score"], Value::Null);
    story.complete(judged(1, 2, vec![case_result(1, Verdict::RuntimeError)])).await;
    let body = app.get(&path(story.id())).await.body;
    let failed = but(
        passed.clone(),
        &json!({"index": 1, "verdict": "runtime_error", "exit_code": null, "signal": 11, "points": 0}),
    );
    assert_eq!((&body["lane"], &body["cases"]), (&json!("submit"), &json!([passed, failed])));
    assert_eq!(body["score"], json!({"points": 2, "points_max": 4, "passed": 1, "total": 2}));
}

#[tokio::test]
async fn what_the_platform_could_not_run_tells_why() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    story.fail().await;
    let members = json!({
        "state": "failed", "attempt": 1, "started_at": AT, "finished_at": AT,
        "failure": {"class": "unrunnable", "reason": "no such language"},
        "ran_version": "3.11", "image_digest": "sha256:abc", "isolation": "single-use",
    });
    shows(&app, &story, &but(fresh(&story), &members)).await;
}

#[tokio::test]
async fn a_cancellation_is_seen_in_both_steps() {
    let app = TestApp::new();
    let mut story = app.story().await;
    story.start().await;
    story.ask_to_cancel().await;
    let members = json!({
        "state": "cancelling", "attempt": 1, "started_at": AT, "cancellation_requested_at": AT,
        "ran_version": "3.11", "image_digest": "sha256:abc", "isolation": "single-use",
    });
    let cancelling = but(fresh(&story), &members);
    shows(&app, &story, &cancelling).await;
    story.cancel().await;
    let members = json!({"state": "cancelled", "finished_at": AT, "sequence": story.sequence()});
    assert_eq!(
        app.get(&format!("{}?min_seq={}", path(story.id()), story.sequence())).await.body,
        but(cancelling, &members)
    );
}

#[tokio::test]
async fn anothers_and_unknown_ones_are_404_and_look_alike() {
    let app = TestApp::new();
    let story = app.story().await;
    let others = app.get_as("bob", &path(story.id())).await;
    let unknown = app.get_as("bob", "/v1/submissions/018f2f5e-0000-7000-8000-000000000000").await;
    for answer in [&others, &unknown] {
        assert_eq!((answer.status.as_u16(), answer.slug()), (404, "not-found"));
    }
    assert_eq!(others.body["detail"], unknown.body["detail"]);
    for spelling in ["nonsense".to_owned(), story.id().to_string().to_uppercase()] {
        let answer = app.get(&format!("/v1/submissions/{spelling}")).await;
        assert_eq!(answer.slug(), "not-found", "{spelling}");
    }
}

#[tokio::test]
async fn read_any_and_admin_see_everybodys() {
    let app = TestApp::new();
    let story = app.story().await;
    for scope in ["read:any", "admin"] {
        let answer = app.send(get(&path(story.id()), &bearer("root", scope), &[])).await;
        assert_eq!(answer.status, StatusCode::OK, "{scope}");
    }
}

#[tokio::test]
async fn bad_parameters_are_400_and_name_themselves() {
    let app = TestApp::new();
    let story = app.story().await;
    for (query, named) in [
        ("wait=31", "must be from 0 to 30 seconds"),
        ("wait=-1", "must be from 0 to 30 seconds"),
        ("wait=NaN", "must be from 0 to 30 seconds"),
        ("wait=soon", "wait"),
        ("min_seq=-1", "min_seq"),
        ("min_sec=1", "unknown field `min_sec`"),
        ("wait=1&wait=2", "duplicate field `wait`"),
    ] {
        let answer = app.get(&format!("{}?{query}", path(story.id()))).await;
        assert_eq!((answer.status.as_u16(), answer.slug()), (400, "malformed"), "{query}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{query}: {detail}");
    }
}
