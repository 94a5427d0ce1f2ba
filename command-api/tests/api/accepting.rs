//! `POST /v1/submissions` that succeeds: the answer, and what is in the ledger.

use axum::http::StatusCode;
use events::content::INLINE_BYTES_MAX;
use events::event::{Origin, Suite};
use events::{Content, Digest, EndUser, Event, Lane, ObjectBucket, Priority};
use ledger::store::EventStore;
use serde_json::json;

use crate::support::{TOTAL_TIME_MS, TestApp, bearer, hello, post};

#[tokio::test]
async fn a_submission_is_answered_202_with_where_to_look() {
    let app = TestApp::new();
    let answer = app.submit(&hello()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let id = answer.id();
    let path = format!("/v1/submissions/{id}");
    assert_eq!(answer.header("location"), path);
    assert_eq!(
        answer.body,
        json!({
            "id": id, "sequence": 1, "state": "accepted",
            "links": {"self": path, "events": format!("{path}/events"), "cancel": format!("{path}/cancel")},
        })
    );
}

#[tokio::test]
async fn the_accepted_event_holds_the_whole_request() {
    let app = TestApp::new();
    let answer = app
        .submit(&json!({
            "language": "c++", "files": [{"name": "a.cpp", "content": "int"}, {"name": "inc/b.h", "content": ""}],
            "args": ["x"], "compiler_options": "-O1 -g", "limits": {"cpu_time_ms": 100},
            "cases": [{"stdin": "1", "expected": "2", "points": 3, "name": "one"}],
            "checker": "tokens", "stop_on_first_failure": true, "end_user": "student-7",
        }))
        .await;
    let stored = app.stored(&answer.id()).await;
    let accepted = stored.accepted;
    let (id, subject) = (answer.id(), stored.subject.to_string());
    let key_part = stored.subject.id.key_part();
    assert_eq!(subject, format!("ledger.submission.submit.normal.core.{key_part}.{id}"));
    assert_eq!((accepted.principal.as_str(), accepted.lane), ("ada", Lane::Submit));
    assert_eq!((accepted.language.slug.as_str(), accepted.origin), ("cpp", Origin::Native));
    assert_eq!(accepted.files[0].content, Content::Text("int".to_owned()));
    assert_eq!(accepted.compiler_options, ["-O1", "-g"]);
    assert_eq!((accepted.limits.cpu_time_ms, accepted.limits.processes), (100, 60));
    assert!(accepted.stop_on_first_failure);
    assert_eq!(accepted.end_user.as_ref().map(EndUser::as_str), Some("student-7"));
    assert_eq!(accepted.total_time_ms, TOTAL_TIME_MS.get());
    let Some(Suite::Inline { cases, sha256 }) = &accepted.suite else { panic!("{accepted:?}") };
    assert_eq!((cases[0].points, cases[0].name.as_deref()), (3, Some("one")));
    assert_eq!(*sha256, Digest::of(&serde_json::to_vec(cases).unwrap()));
    assert!(app.objects.stored().is_empty());
}

#[tokio::test]
async fn the_event_names_its_writer_and_the_trace() {
    let app = TestApp::new();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = post("/v1/submissions", "ada").header("traceparent", trace);
    let answer = app.send(request.body(hello().to_string().into()).unwrap()).await;
    let history = app.ledger.history(answer.id().parse().unwrap()).await.unwrap();
    let envelope = &history[0].recorded.envelope;
    assert_eq!((envelope.source.as_str(), envelope.actor.as_str()), ("/command-api", "user:ada"));
    assert_eq!(envelope.traceparent.as_deref(), Some(trace));
    assert!(matches!(envelope.event, Event::Accepted(_)));
}

#[tokio::test]
async fn headers_for_nats_from_a_client_reach_nobody() {
    let app = TestApp::new();
    let request = post("/v1/submissions", "ada")
        .header("nats-expected-last-msg-id", "x")
        .header("Nats-Msg-Id", "planted");
    let answer = app.send(request.body(hello().to_string().into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let stored = app.store.get(1).await.unwrap().unwrap();
    assert!(stored.id.is_some_and(|id| id != "planted"));
}

#[tokio::test]
async fn what_is_too_large_for_an_event_is_an_object_before_the_event() {
    let app = TestApp::new();
    let source = "#".repeat(INLINE_BYTES_MAX);
    let answer =
        app.submit(&json!({"language": "python", "source": source, "stdin": "small"})).await;
    let accepted = app.stored(&answer.id()).await.accepted;
    let objects = app.objects.stored();
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0].1, source.as_bytes());
    assert_eq!(objects[0].0.bucket, ObjectBucket::Sources);
    assert_eq!(accepted.files[0].content, Content::Object(objects[0].0.clone()));
    assert_eq!(accepted.stdin, Content::Text("small".to_owned()));
}

#[tokio::test]
async fn large_cases_are_one_object_of_tests() {
    let app = TestApp::new();
    let case = json!({"expected": "x".repeat(INLINE_BYTES_MAX / 2)});
    let body = json!({"language": "python", "source": "print()", "cases": [case, case, case]});
    let answer = app.submit(&body).await;
    let accepted = app.stored(&answer.id()).await.accepted;
    let Some(Suite::Object { object, count: 3 }) = &accepted.suite else { panic!("{accepted:?}") };
    let objects = app.objects.stored();
    assert_eq!((objects.len(), &objects[0].0), (1, object));
    assert_eq!(object.bucket, ObjectBucket::Tests);
    let cases: Vec<events::event::Case> = serde_json::from_slice(&objects[0].1).unwrap();
    assert_eq!(cases.len(), 3);
}

#[tokio::test]
async fn two_submissions_without_a_key_are_two() {
    let app = TestApp::new();
    let (one, two) = (app.submit(&hello()).await, app.submit(&hello()).await);
    assert_ne!(one.id(), two.id());
    assert_eq!(app.event_count().await, 2);
}

#[tokio::test]
async fn a_caller_without_the_scope_is_forbidden_before_the_body_is_looked_at() {
    let app = TestApp::new();
    let request = axum::http::Request::post("/v1/submissions")
        .header("authorization", bearer("ada", "read:any admin"))
        .body("not json".into())
        .unwrap();
    let answer = app.send(request).await;
    assert_eq!((answer.status, answer.slug()), (StatusCode::FORBIDDEN, "forbidden"));
    assert_eq!(app.event_count().await, 0);
}

#[tokio::test]
async fn a_person_s_fourth_that_waits_is_surplus_and_another_person_s_first_is_not() {
    let app = TestApp::new();
    let mut priorities = Vec::new();
    for _ in 0..5 {
        let answer = app.submit(&hello()).await;
        priorities.push(app.stored(&answer.id()).await.subject.priority);
    }
    let (normal, surplus) = (Priority::Normal, Priority::Surplus);
    assert_eq!(priorities, [normal, normal, normal, surplus, surplus]);
    let mut of_another = hello();
    of_another["end_user"] = json!("student-7");
    for answer in
        [app.submit(&of_another).await, app.post("bob", "/v1/submissions", &hello()).await]
    {
        let stored = app.stored(&answer.id()).await;
        assert_eq!((stored.subject.priority, stored.accepted.priority), (normal, normal));
    }
}
