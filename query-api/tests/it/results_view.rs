//! The contract of `ResultsView`, held on the fake and on Postgres; and what only Postgres can
//! show.

use events::event::Completed;
use events::{Captured, Lane, State, Submission, SubmissionId, Verdict};
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
    for kind in &kinds {
        postgres.put(1, kind).await;
    }
    postgres.move_to(1, 99).await;
    let view = reader(&postgres);
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
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_question_is_answered_by_an_index() {
    let postgres = ResultsDatabase::migrated().await;
    let rows = "insert into submissions
        select 1, gen_random_uuid(), 'u' || n % 50, 'run', 'core', 'python', '3', 'native', 'accepted', null, now(),
               null, null, null, n, n, 0, 0, null, 'x', null, null
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
    let types = "text, bigint, text, text, text, bigint";
    let list = plan(&postgres, &list_sql(), types, "'u7', 9000, null, null, null, 21").await;
    assert!(list.contains("submissions_principal_generation_accepted_sequence_idx"), "{list}");
    assert!(!list.contains("Sort"), "{list}");
    postgres.remove().await;
}
