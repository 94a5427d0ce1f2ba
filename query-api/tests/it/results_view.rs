//! The contract of `ResultsView`, held on the fake and on Postgres; and what only Postgres can
//! show.

use std::time::{Duration, Instant};

use events::event::Completed;
use events::{Captured, Lane, State, Submission, SubmissionId, Verdict};
use futures::FutureExt as _;
use servers::testing::Proxy;
use views::error::ViewError;
use views::results::testing::ResultsDatabase;
use views::results::{ListQuery, ResultsReader, ResultsView, Summary, find_sql, list_sql};
use views::testing::sqlx::{self, AssertSqlSafe, Row};

use crate::support::{
    FakeResults, Story, TestApp, accepted, case_result, completed, judged, text, with_cases,
};

/// Submissions in every state, as the ledger folds them, in the order of their acceptance.
async fn every_kind() -> Vec<Submission> {
    let app = TestApp::new();
    let mut stories = Vec::new();
    for _ in 0..7 {
        stories.push(Story::begin(&app.ledger, with_cases(accepted("ada"), 2)).await);
    }
    let [_, running, cancelling, finished, half, failed, cancelled] = stories.as_mut_slice() else {
        panic!("seven")
    };
    running.start().await;
    for story in [&mut *cancelling, &mut *cancelled] {
        story.start().await;
        story.ask_to_cancel().await;
    }
    cancelled.cancel().await;
    finished.start().await;
    finished.compile(Captured { content: text("a\0b"), bytes_total: 3, truncated: false }).await;
    let results = vec![case_result(0, Verdict::Accepted), case_result(1, Verdict::TimeLimit)];
    finished.complete(judged(1, 2, results)).await;
    half.start().await;
    half.judge(0, vec![case_result(0, Verdict::Accepted)]).await;
    failed.start().await;
    failed.fail().await;
    let mut run = Story::begin(&app.ledger, accepted("ada")).await;
    run.start().await;
    // PostgreSQL's JSON operators refuse a value with a NUL anywhere in it.
    let stdout = Captured { content: text("a\0b\\u0000"), bytes_total: 9, truncated: false };
    run.complete(Completed { stdout, ..completed() }).await;
    let mut kinds = Vec::new();
    for id in stories.iter().map(Story::id).chain([run.id()]) {
        kinds.push(cut(app.ledger.load(id).await.unwrap().unwrap().submission));
    }
    kinds
}

/// With times as views have them.
fn cut(mut submission: Submission) -> Submission {
    use chrono::SubsecRound;
    let cut = |at: &mut events::Timestamp| *at = at.trunc_subsecs(6);
    cut(&mut submission.accepted_at);
    let optional = [
        &mut submission.compiled_at,
        &mut submission.cancellation_requested_at,
        &mut submission.finished_at,
    ];
    optional.into_iter().flatten().for_each(cut);
    submission.attempts.iter_mut().for_each(|attempt| cut(&mut attempt.started_at));
    submission
}

fn reader(postgres: &ResultsDatabase) -> ResultsReader {
    ResultsReader::open(&postgres.url()).unwrap()
}

fn all() -> ListQuery {
    ListQuery {
        principal: "ada".parse().unwrap(),
        before: None,
        state: None,
        language: None,
        lane: None,
        limit: 100,
    }
}

async fn listed(view: &dyn ResultsView, query: ListQuery) -> Vec<SubmissionId> {
    let found: Vec<Summary> = view.list(&query).await.unwrap();
    found.iter().map(|summary| summary.id).collect()
}

/// What every view does that holds `kinds` and stands at `position`.
async fn holds(view: &dyn ResultsView, kinds: &[Submission], position: u64) {
    view.ping().await.unwrap();
    let last = view.position().await.unwrap();
    assert_eq!(last.map(|last| last.sequence), Some(position));
    for kind in kinds {
        let found = view.find(kind.id).await.unwrap();
        assert_eq!((found.submission.as_ref(), found.position), (Some(kind), position));
    }
    let absent = SubmissionId::new(uuid::Uuid::from_u128(1));
    let found = view.find(absent).await.unwrap();
    assert_eq!((found.submission, found.position), (None, position));
    let newest_first: Vec<_> = kinds.iter().rev().map(|kind| kind.id).collect();
    assert_eq!(listed(view, all()).await, newest_first);
    assert_eq!(listed(view, ListQuery { limit: 2, ..all() }).await, newest_first[..2]);
    let before = Some(kinds[2].accepted_sequence);
    assert_eq!(listed(view, ListQuery { before, ..all() }).await, [kinds[1].id, kinds[0].id]);
    for &state in State::ALL {
        let expected: Vec<_> =
            kinds.iter().rev().filter(|kind| kind.state == state).map(|kind| kind.id).collect();
        assert!(!expected.is_empty(), "no {state:?} among the kinds");
        assert_eq!(listed(view, ListQuery { state: Some(state), ..all() }).await, expected);
    }
    let lane = Some(Lane::Run);
    assert_eq!(listed(view, ListQuery { lane, ..all() }).await, newest_first[..1]);
    let language = Some("cobol".parse().unwrap());
    assert_eq!(listed(view, ListQuery { language, ..all() }).await, []);
    let principal = "bob".parse().unwrap();
    assert_eq!(listed(view, ListQuery { principal, ..all() }).await, []);
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let (view, kinds) = (FakeResults::default(), every_kind().await);
    for kind in &kinds {
        view.put(kind, 99);
    }
    holds(&view, &kinds, 99).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let (postgres, kinds) = (ResultsDatabase::migrated().await, every_kind().await);
    let view = reader(&postgres);
    assert_eq!(view.position().await.unwrap(), None);
    for kind in &kinds {
        postgres.put(1, kind).await;
    }
    postgres.move_to(1, 99).await;
    holds(&view, &kinds, 99).await;
    view.close().await;
    postgres.remove().await;
}

#[tokio::test]
async fn both_tell_the_same_summaries() {
    let (postgres, fake, kinds) =
        (ResultsDatabase::migrated().await, FakeResults::default(), every_kind().await);
    for kind in &kinds {
        postgres.put(1, kind).await;
        fake.put(kind, 1);
    }
    let view = reader(&postgres);
    assert_eq!(view.list(&all()).await.unwrap(), fake.list(&all()).await.unwrap());
    view.close().await;
    postgres.remove().await;
}

#[tokio::test]
async fn readers_see_one_generation_whole() {
    let (postgres, kinds) = (ResultsDatabase::migrated().await, every_kind().await);
    let (accepted, finished) = (&kinds[0], &kinds[3]);
    let rebuilt = Submission { id: accepted.id, ..finished.clone() };
    postgres.put(1, accepted).await;
    postgres.put(2, &rebuilt).await;
    postgres.move_to(1, 10).await;
    postgres.move_to(2, 20).await;
    let view = reader(&postgres);
    let found = view.find(accepted.id).await.unwrap();
    assert_eq!((found.position, found.submission.as_ref()), (10, Some(accepted)));
    postgres.switch(2).await;
    let found = view.find(accepted.id).await.unwrap();
    assert_eq!((found.position, found.submission.as_ref()), (20, Some(&rebuilt)));
    assert_eq!(view.list(&all()).await.unwrap().len(), 1);
    view.close().await;
    postgres.remove().await;
}

#[tokio::test]
async fn an_impossible_row_is_told_by_table_column_and_key() {
    let (postgres, kinds) = (ResultsDatabase::migrated().await, every_kind().await);
    let (id, view) = (kinds[3].id, reader(&postgres));
    for (statement, expected) in [
        ("update submissions set outcome = '{}'", format!("submissions.outcome of {id}")),
        ("update submissions set pool = '*'", format!("submissions.pool of {id}")),
        ("update submissions set case_count = -1", format!("submissions.case_count of {id}")),
        ("update submissions set wall_us = 1", format!("submissions.cpu_us of {id}")),
        ("update submissions set points = 1", format!("submissions.points of {id}")),
        (
            "update attempts set sandbox_profile = 'x'",
            format!("attempts.sandbox_profile of {id}/1"),
        ),
        (
            "update case_results set points = -1 where case_number = 1",
            format!("case_results.points of {id}/1"),
        ),
    ] {
        postgres.put(1, &kinds[3]).await;
        postgres.execute(statement).await;
        let error = view.find(id).await.unwrap_err();
        assert!(matches!(error, ViewError::Impossible(_)), "{error:?}");
        assert_eq!(error.to_string(), format!("impossible value in {expected}"));
    }
    view.close().await;
    postgres.remove().await;
}

#[tokio::test]
async fn a_store_that_is_not_there_is_away_and_soon_told() {
    let view = ResultsReader::open("postgres://127.0.0.1:1/none").unwrap();
    let began = std::time::Instant::now();
    for _ in 0..20 {
        let error = view.ping().await.unwrap_err();
        assert!(matches!(error, ViewError::Away { .. }), "{error:?}");
    }
    let elapsed = began.elapsed();
    assert!(elapsed.as_secs() < 5, "each of 20 questions waited: {elapsed:?}");
}

/// Explains a statement as it is planned once for all parameters.
async fn plan(
    postgres: &ResultsDatabase,
    statement: &str,
    types: &str,
    parameters: &str,
) -> String {
    let mut connection = postgres.pool.acquire().await.unwrap();
    let prepare = format!(
        "set enable_seqscan = off; set plan_cache_mode = force_generic_plan; prepare it({types}) as {statement}"
    );
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let explain = format!("explain execute it({parameters})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
    // Another question may get the same connection.
    sqlx::raw_sql("deallocate it").execute(&mut *connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_question_is_answered_by_an_index() {
    let postgres = ResultsDatabase::migrated().await;
    let rows = "insert into submissions
        select 1, gen_random_uuid(), 'u' || n % 50, (array['run', 'submit'])[n % 2 + 1], 'core',
               'l' || n % 7, '3', 'native', (array['accepted', 'running', 'cancelling'])[n % 3 + 1],
               null, now(), null, null, null, n, n, 0, 0, null, 'x', null, null
        from generate_series(1, 20000) n;
        analyze";
    postgres.execute(rows).await;
    let id = "'018f2f5e-0000-7000-8000-000000000000'";
    let find = plan(&postgres, &find_sql(), "uuid", id).await;
    for index in [
        "submissions_generation_submission_id_key",
        "attempts_generation_submission_id_number_key",
        "case_results_generation_submission_id_case_number_key",
    ] {
        assert!(find.contains(index), "{index} is not in {find}");
    }
    let (state, lane) = (Some(State::Running), Some(Lane::Submit));
    let language = || Some("l3".parse().unwrap());
    for (filter, query, values) in [
        ("", all(), ""),
        ("state_", ListQuery { state, ..all() }, ", 'running'"),
        ("language_", ListQuery { language: language(), ..all() }, ", 'l3'"),
        ("lane_", ListQuery { lane, ..all() }, ", 'submit'"),
    ] {
        let types =
            format!("text, bigint, bigint{}", if values.is_empty() { "" } else { ", text" });
        let parameters = format!("'u7', 9000, 21{values}");
        let list = plan(&postgres, &list_sql(&query), &types, &parameters).await;
        let index = format!("submissions_principal_generation_{filter}accepted_sequence_idx");
        assert!(list.contains(&index), "{index} is not in {list}");
        assert!(!list.contains("Sort") && !list.contains("Filter"), "{list}");
    }
    postgres.remove().await;
}

#[tokio::test]
async fn a_list_that_takes_too_long_takes_nothing_from_other_questions() {
    let (postgres, kinds) = (ResultsDatabase::migrated().await, every_kind().await);
    postgres.put(1, &kinds[0]).await;
    let view = reader(&postgres);
    view.find(kinds[0].id).await.unwrap();
    let mut lock = postgres.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table submissions").execute(&mut *lock).await.unwrap();
    let error = view.list(&all()).await.unwrap_err();
    assert!(matches!(error, ViewError::Away { .. }), "{error:?}");
    lock.rollback().await.unwrap();
    // The server has told that the statement was slow, and so it is there.
    assert_eq!(view.find(kinds[0].id).await.unwrap().submission.as_ref(), Some(&kinds[0]));
    assert_eq!(listed(&view, all()).await, [kinds[0].id]);
    view.close().await;
    postgres.remove().await;
}

#[tokio::test]
async fn many_slow_lists_leave_single_submissions_alone() {
    let (postgres, kinds) = (ResultsDatabase::migrated().await, every_kind().await);
    postgres.put(1, &kinds[0]).await;
    // A list of this view takes five seconds, and a look-up of a submission does not.
    let slow = "alter view results_submissions rename to quick_submissions;
        create view results_submissions as
        select * from quick_submissions
        where current_query() not like '%accepted_sequence <%' or pg_sleep(5) is not null";
    postgres.execute(slow).await;
    let (view, query) = (reader(&postgres), all());
    let refused = |_| view.list(&query).map(|listed| listed.is_err());
    let lists = futures::future::join_all((0..20).map(refused));
    let finds = async {
        tokio::task::yield_now().await;
        for _ in 0..20 {
            let found = view.find(kinds[0].id).await.unwrap();
            assert_eq!(found.submission.as_ref(), Some(&kinds[0]));
        }
    };
    let (refused, ()) = tokio::join!(lists, finds);
    assert!(refused.iter().all(|refused| *refused), "a list was quick");
    view.close().await;
    postgres.remove().await;
}

#[tokio::test]
async fn a_store_that_comes_back_is_asked_again() {
    let (postgres, kinds) = (ResultsDatabase::migrated().await, every_kind().await);
    postgres.put(1, &kinds[0]).await;
    let way = Proxy::closed(ResultsDatabase::server_address()).await;
    let view = ResultsReader::open(&postgres.url_by(way.address)).unwrap();
    view.find(kinds[0].id).await.unwrap_err();
    let began = Instant::now();
    for _ in 0..100 {
        view.find(kinds[0].id).await.unwrap_err();
    }
    assert!(began.elapsed() < Duration::from_millis(500), "a request found out for the others");
    way.open();
    let back = async {
        while view.find(kinds[0].id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("it is not asked again");
    view.close().await;
    postgres.remove().await;
}

#[tokio::test]
async fn rows_from_before_their_columns_were_there_get_them_from_their_outcome() {
    let (postgres, kinds) = (ResultsDatabase::migrated().await, every_kind().await);
    for kind in &kinds {
        postgres.put(1, kind).await;
    }
    let view = reader(&postgres);
    let before = view.list(&all()).await.unwrap();
    let columns = "drop view results_submissions; alter table submissions
        drop column cpu_us, drop column wall_us, drop column discounted_us, drop column memory_kib,
        drop column cases_total, drop column cases_passed, drop column points, drop column points_max";
    postgres.execute(columns).await;
    let indexes = "drop index submissions_principal_generation_state_accepted_sequence_idx;
        drop index submissions_principal_generation_language_accepted_sequence_idx;
        drop index submissions_principal_generation_lane_accepted_sequence_idx";
    postgres.execute(indexes).await;
    postgres.execute(include_str!("../../../migrations/0010_submission_lists.sql")).await;
    view.close().await;
    let view = reader(&postgres);
    assert_eq!(view.list(&all()).await.unwrap(), before);
    for kind in &kinds {
        assert_eq!(view.find(kind.id).await.unwrap().submission.as_ref(), Some(kind));
    }
    view.close().await;
    postgres.remove().await;
}
