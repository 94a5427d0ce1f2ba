//! `GET /v1/submissions`.

use axum::http::StatusCode;
use events::event::Accepted;
use serde_json::{Value, json};

use crate::support::case_result;
use crate::support::{Answer, Story, TestApp, accepted, bearer, get, judged, with_cases};

fn ids(answer: &Answer) -> Vec<String> {
    let items = answer.body["items"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Takes submissions in, and lets the view have them; returns their ids, the newest first.
async fn stories(app: &TestApp, count: usize, accepted: &Accepted) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let story = Story::begin(&app.ledger, accepted.clone()).await;
        app.project(story.id()).await;
        ids.insert(0, story.id().to_string());
    }
    ids
}

#[tokio::test]
async fn a_list_is_the_callers_own_newest_first() {
    let app = TestApp::new();
    let mine = stories(&app, 3, &accepted("ada")).await;
    stories(&app, 2, &accepted("bob")).await;
    let answer = app.get("/v1/submissions").await;
    assert_eq!((ids(&answer), &answer.body["next"]), (mine, &Value::Null));
    assert_eq!(answer.header("cache-control"), "no-store");
    let nobodys = app.get_as("eve", "/v1/submissions").await;
    assert_eq!(nobodys.body, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn an_item_tells_the_submission_in_short() {
    let app = TestApp::new();
    let mut story = Story::begin(&app.ledger, with_cases(accepted("ada"), 1)).await;
    story.start().await;
    story.complete(judged(1, 1, vec![case_result(0, events::Verdict::Accepted)])).await;
    app.project(story.id()).await;
    let at = "2027-01-15T08:00:00.123456Z";
    let expected = json!({
        "id": story.id(), "state": "completed", "verdict": "accepted",
        "language": {"slug": "python", "version": "3.11"}, "lane": "submit", "accepted_at": at, "finished_at": at,
        "usage": {"cpu_ms": 12.345, "wall_ms": 20.0, "discounted_ms": 1.5, "memory_kib": 9000},
        "score": {"points": 2, "points_max": 2, "passed": 1, "total": 1}, "sequence": story.sequence(),
    });
    assert_eq!(app.get("/v1/submissions").await.body["items"], json!([expected]));
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_overlap() {
    let app = TestApp::new();
    let mine = stories(&app, 7, &accepted("ada")).await;
    let mut seen = Vec::new();
    let mut url = "/v1/submissions?limit=3".to_owned();
    loop {
        let page = app.get(&url).await;
        seen.extend(ids(&page));
        // What comes in meanwhile shifts nothing.
        stories(&app, 1, &accepted("ada")).await;
        let Some(next) = page.body["next"].as_str() else { break };
        url = format!("/v1/submissions?limit=3&cursor={next}");
    }
    assert_eq!(seen, mine);
}

#[tokio::test]
async fn a_last_page_that_is_full_has_no_next() {
    let app = TestApp::new();
    stories(&app, 2, &accepted("ada")).await;
    assert_eq!(app.get("/v1/submissions?limit=2").await.body["next"], Value::Null);
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let app = TestApp::new();
    let runs = stories(&app, 1, &accepted("ada")).await;
    let judged = stories(&app, 1, &with_cases(accepted("ada"), 1)).await;
    let mut bash = accepted("ada");
    bash.language.slug = "bash".parse().unwrap();
    let bash = stories(&app, 1, &bash).await;
    let mut ended = app.story().await;
    ended.finish().await;
    app.project(ended.id()).await;
    let all = |parts: &[&[String]]| parts.concat();
    for (filter, expected) in [
        ("lane=submit", judged.clone()),
        ("language=bash", bash.clone()),
        ("language=SH", bash.clone()),
        ("language=cobol", vec![]),
        ("state=completed", vec![ended.id().to_string()]),
        ("state=accepted", all(&[&bash, &judged, &runs])),
        ("state=accepted&lane=run&language=python", runs.clone()),
    ] {
        assert_eq!(ids(&app.get(&format!("/v1/submissions?{filter}")).await), expected, "{filter}");
    }
}

#[tokio::test]
async fn another_users_list_needs_a_scope() {
    let app = TestApp::new();
    let bobs = stories(&app, 1, &accepted("bob")).await;
    let refused = app.get("/v1/submissions?user=bob").await;
    assert_eq!((refused.status, refused.slug()), (StatusCode::FORBIDDEN, "forbidden"));
    assert!(refused.header("www-authenticate").contains("scope=\"read:any\""));
    assert_eq!(ids(&app.get_as("bob", "/v1/submissions?user=bob").await), bobs);
    for scope in ["read:any", "admin"] {
        let request = get("/v1/submissions?user=bob", &bearer("root", scope), &[]);
        assert_eq!(ids(&app.send(request).await), bobs);
    }
}

#[tokio::test]
async fn bad_parameters_are_400() {
    let app = TestApp::new();
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "state=done",
        "lane=fast",
        "cursor=x",
        "cursor=",
        "language=",
        "user=",
        "page=2",
        "limit=1&limit=2",
    ] {
        let answer = app.get(&format!("/v1/submissions?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.slug()), (400, "malformed"), "{query}");
    }
}

#[tokio::test]
async fn without_postgres_lists_are_503() {
    let app = TestApp::new();
    app.results.go_away(true);
    let answer = app.get("/v1/submissions").await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), "2");
}
