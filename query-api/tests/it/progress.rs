//! `GET /v1/users/me/progress`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use chrono::{DateTime, NaiveDate};
use events::{Lane, State, SubmissionId, Verdict};
use serde_json::json;
use views::progress::{
    ByLane, Points, ProgressKey, RecentSubmission, SolvedTotals, Streak, UserProgress,
    VerdictCounts,
};

use crate::support::{NOW, TestApp};

#[tokio::test]
async fn a_new_user_has_an_empty_progress() {
    let answer = TestApp::new().get("/v1/users/me/progress").await;
    let expected = json!({
        "user": "ada", "submissions": {"run": 0, "submit": 0}, "verdicts": {"run": {}, "submit": {}},
        "failed": 0, "cancelled": 0, "solved": {"suites": 0, "submissions": 0, "last_at": null},
        "streak": {"current": 0, "longest": 0, "last_active_day": null}, "languages": {}, "recent": [], "sequence": 0,
    });
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_users_progress_is_told_as_of_today() {
    let app = TestApp::new();
    let id = SubmissionId::new(uuid::Uuid::from_u128(1));
    let at = DateTime::from_timestamp(NOW, 0).unwrap();
    let progress = UserProgress {
        key: ProgressKey { generation: 1, principal: "ada".parse().unwrap() },
        last_seq: 812,
        submissions: ByLane { run: 1, submit: 2 },
        verdicts: ByLane {
            run: VerdictCounts::default(),
            submit: VerdictCounts { accepted: 2, ..VerdictCounts::default() },
        },
        failed: 3,
        cancelled: 4,
        solved: SolvedTotals { suites: 1, submissions: 2, last_at: Some(at.into()) },
        streak: Some(Streak {
            current: 2,
            longest: 6,
            last_active_day: NaiveDate::from_ymd_opt(2027, 1, 13).unwrap(),
        }),
        languages: BTreeMap::from([("python".parse().unwrap(), 3)]),
        recent: vec![RecentSubmission {
            submission: id,
            language: "python".parse().unwrap(),
            lane: Lane::Submit,
            state: State::Completed,
            verdict: Some(Verdict::Accepted),
            points: Some(Points { earned: 3, max: 4 }),
            accepted_at: at.into(),
            finished_at: None,
        }],
    };
    *app.progress.known.lock().unwrap() = Some(("ada".parse().unwrap(), progress));
    let body = app.get("/v1/users/me/progress").await.body;
    let at = "2027-01-15T08:00:00.000000Z";
    assert_eq!(
        body["streak"],
        json!({"current": 0, "longest": 6, "last_active_day": "2027-01-13"})
    );
    assert_eq!(body["solved"], json!({"suites": 1, "submissions": 2, "last_at": at}));
    assert_eq!(
        body["recent"],
        json!([{
            "id": id, "language": "python", "lane": "submit", "state": "completed", "verdict": "accepted",
            "points": 3, "points_max": 4, "accepted_at": at, "finished_at": null,
        }])
    );
    let others = app.get_as("bob", "/v1/users/me/progress").await.body;
    assert_eq!((&others["user"], &others["sequence"]), (&json!("bob"), &json!(0)));
}

#[tokio::test]
async fn without_mongo_progress_is_503() {
    let app = TestApp::new();
    app.progress.is_away.store(true, Ordering::SeqCst);
    let answer = app.get("/v1/users/me/progress").await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), "2");
}
