//! `POST /v1/submissions/{id}/cancel`.

use axum::http::{Request, StatusCode};
use events::testing as sample;
use events::{Event, State};
use serde_json::json;

use crate::support::{TestApp, bearer, hello, post};

/// Lets an executor begin.
async fn start(app: &TestApp, id: &str) {
    let mut aggregate = app.stored(id).await;
    let started = Event::Started(sample::started(1));
    app.ledger.execute(&mut aggregate, started, &sample::writer()).await.unwrap();
}

#[tokio::test]
async fn what_has_not_begun_is_cancelled_at_once() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    let answer = app.cancel("ada", &id).await;
    assert_eq!((answer.status, &answer.body["state"]), (StatusCode::ACCEPTED, &json!("cancelled")));
    assert_eq!(answer.body["sequence"], 3);
    assert_eq!(answer.body["links"]["self"], format!("/v1/submissions/{id}"));
    assert_eq!(app.stored(&id).await.submission.state, State::Cancelled);
}

#[tokio::test]
async fn what_runs_is_asked_to_stop_and_its_executor_told() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    start(&app, &id).await;
    let answer = app.cancel("ada", &id).await;
    assert_eq!(
        (answer.status, &answer.body["state"]),
        (StatusCode::ACCEPTED, &json!("cancelling"))
    );
    assert_eq!(*app.announcer.announced.lock().unwrap(), [id.parse().unwrap()]);
}

#[tokio::test]
async fn asking_twice_is_one_request_and_two_signals() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    start(&app, &id).await;
    let (first, again) = (app.cancel("ada", &id).await, app.cancel("ada", &id).await);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(app.event_count().await, 3);
    assert_eq!(app.announcer.announced.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_lost_signal_changes_nothing() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    start(&app, &id).await;
    app.announcer.is_away.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(app.cancel("ada", &id).await.status, StatusCode::ACCEPTED);
    assert_eq!(app.stored(&id).await.submission.state, State::Cancelling);
}

#[tokio::test]
async fn the_reason_is_recorded() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    let path = format!("/v1/submissions/{id}/cancel");
    app.post("ada", &path, &json!({"reason": "changed my mind"})).await;
    let history = app.ledger.history(id.parse().unwrap()).await.unwrap();
    let Event::CancellationRequested(request) = &history[1].recorded.envelope.event else {
        panic!("{history:?}")
    };
    assert_eq!(
        (request.by.as_str(), request.reason.as_deref()),
        ("user:ada", Some("changed my mind"))
    );
}

#[tokio::test]
async fn what_has_ended_is_409() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    app.cancel("ada", &id).await;
    let answer = app.cancel("ada", &id).await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (409, "already-ended"));
    assert_eq!(answer.body["detail"], "the submission has ended: cancelled");
}

#[tokio::test]
async fn anothers_and_unknown_ones_are_404_and_look_alike() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    let others = app.cancel("bob", &id).await;
    let unknown = app.cancel("bob", "018f2f5e-0000-7000-8000-000000000000").await;
    for answer in [&others, &unknown] {
        assert_eq!((answer.status.as_u16(), answer.slug()), (404, "not-found"));
    }
    assert_eq!(others.body["detail"], unknown.body["detail"]);
    for spelling in ["nonsense", &id.to_uppercase(), &id.replace('-', ""), &format!("{{{id}}}")] {
        assert_eq!(app.cancel("ada", spelling).await.status, StatusCode::NOT_FOUND, "{spelling}");
    }
    assert_eq!(app.event_count().await, 1);
}

#[tokio::test]
async fn an_admin_may_cancel_anybodys_and_a_reader_nobodys() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    let with_scope = |scope: &str| {
        Request::post(format!("/v1/submissions/{id}/cancel"))
            .header("authorization", bearer("root", scope))
            .body(axum::body::Body::empty())
            .unwrap()
    };
    assert_eq!(app.send(with_scope("read:any")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.send(with_scope("admin")).await.status, StatusCode::ACCEPTED);
    let history = app.ledger.history(id.parse().unwrap()).await.unwrap();
    assert_eq!(history[1].recorded.envelope.actor, "user:root");
}

#[tokio::test]
async fn a_bad_body_is_refused_and_an_empty_object_is_none() {
    let app = TestApp::new();
    let id = app.submit(&hello()).await.id();
    let path = format!("/v1/submissions/{id}/cancel");
    let answer = app.post("ada", &path, &json!({"reason": 1, "why": 2})).await;
    assert_eq!((answer.status.as_u16(), answer.pointers()), (400, vec!["/reason"]));
    let answer = app.post("ada", &path, &json!({"reason": "x".repeat(513)})).await;
    assert_eq!((answer.status.as_u16(), answer.pointers()), (422, vec!["/reason"]));
    let broken = post(&path, "ada").body("{".into()).unwrap();
    assert_eq!(app.send(broken).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.event_count().await, 1);
    assert_eq!(app.post("ada", &path, &json!({})).await.status, StatusCode::ACCEPTED);
}
