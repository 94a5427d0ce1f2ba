//! A fresh PostgreSQL database.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr as _;

use events::{Fold, Recorded, SubmissionId};
use projector::results::{AttemptRow, CaseRow, ResultsStore, States, SubmissionRow};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::history::replay;
use super::view::View;
use super::{fresh_name, variable};

/// A database of a test's own, with the schema in it.
pub(crate) struct Database {
    pub(crate) store: ResultsStore,
    pub(crate) pool: PgPool,
    name: String,
}

impl Database {
    /// Makes it without a schema.
    pub(crate) async fn empty() -> Self {
        let name = fresh_name();
        let mut server = server().await;
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::query(create).execute(&mut server).await.unwrap();
        let options = options().database(&name);
        let store = ResultsStore::connect_lazy(options.to_url_lossy().as_str()).unwrap();
        let pool = PgPool::connect_lazy_with(options);
        Self { store, pool, name }
    }

    /// Returns the address of the database.
    pub(crate) fn url(&self) -> String {
        options().database(&self.name).to_url_lossy().into()
    }

    /// Reads every submission as readers see it, in one snapshot.
    pub(crate) async fn visible(&self) -> BTreeMap<SubmissionId, Fold> {
        let mut snapshot = self.pool.begin().await.unwrap();
        let isolation = "set transaction isolation level repeatable read read only";
        sqlx::query(isolation).execute(&mut *snapshot).await.unwrap();
        let rows: Vec<SubmissionRow> =
            sqlx::query_as(SUBMISSIONS).fetch_all(&mut *snapshot).await.unwrap();
        let attempts: Vec<AttemptRow> =
            sqlx::query_as(ATTEMPTS).fetch_all(&mut *snapshot).await.unwrap();
        let cases: Vec<CaseRow> = sqlx::query_as(CASES).fetch_all(&mut *snapshot).await.unwrap();
        rows.into_iter()
            .map(|row| {
                let id = row.submission_id;
                let attempts = attempts.iter().filter(|it| it.submission_id == id).cloned();
                let cases = cases.iter().filter(|it| it.submission_id == id).cloned();
                let fold = row.into_fold(attempts.collect(), cases.collect()).unwrap();
                (SubmissionId::new(id), fold)
            })
            .collect()
    }

    /// Reads what readers see, and what only the projector looks at.
    pub(crate) async fn everything(&self) -> BTreeMap<SubmissionId, Fold> {
        let mut states = self.visible().await;
        states.extend(self.unaccepted().await);
        states
    }

    /// Reads the submissions that have events and no acceptance, in the live generation.
    async fn unaccepted(&self) -> BTreeMap<SubmissionId, Fold> {
        let rows: Vec<(uuid::Uuid, i64)> = sqlx::query_as(
            "select submission_id, violations from unaccepted_submissions
             where generation = (select generation from projections where projection_name = 'results')",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        rows.into_iter()
            .map(|(id, violations)| {
                let violations = u32::try_from(violations).unwrap();
                (SubmissionId::new(id), Fold { submission: None, violations })
            })
            .collect()
    }
}

impl View for Database {
    type Store = ResultsStore;

    async fn fresh() -> Self {
        let database = Self::empty().await;
        database.store.migrate().await.unwrap();
        database
    }

    fn store(&self) -> &ResultsStore {
        &self.store
    }

    async fn another_store(&self) -> ResultsStore {
        ResultsStore::connect_lazy(&self.url()).unwrap()
    }

    fn address() -> SocketAddr {
        let options = options();
        format!("{}:{}", options.get_host(), options.get_port()).parse().unwrap()
    }

    async fn store_by(&self, address: SocketAddr) -> ResultsStore {
        let options = options().database(&self.name);
        let options = options.host(&address.ip().to_string()).port(address.port());
        ResultsStore::connect_lazy(options.to_url_lossy().as_str()).unwrap()
    }

    async fn assert_is_fold_of(&self, history: &[Recorded]) {
        let expected = if history.is_empty() { States::new() } else { replay(history) };
        assert_same(&self.everything().await, &expected);
    }

    async fn count(&self, generation: i32) -> u64 {
        let counts = "select (select count(*) from submissions where generation = $1)
            + (select count(*) from attempts where generation = $1)
            + (select count(*) from case_results where generation = $1)
            + (select count(*) from unaccepted_submissions where generation = $1)
            + (select count(*) from checkpoints where generation = $1)";
        let count = sqlx::query_scalar::<_, i64>(counts).bind(generation);
        count.fetch_one(&self.pool).await.unwrap().try_into().unwrap()
    }

    async fn remove(self) {
        self.pool.close().await;
        let drop = AssertSqlSafe(format!("drop database {} with (force)", self.name));
        sqlx::query(drop).execute(&mut server().await).await.unwrap();
    }
}

/// Compares states one by one, so that a difference can be read.
fn assert_same(seen: &States, expected: &States) {
    for (id, fold) in expected {
        assert_eq!(seen.get(id), Some(fold), "submission {id}");
    }
    assert_eq!(seen.len(), expected.len(), "submissions that have no event");
}

fn options() -> PgConnectOptions {
    PgConnectOptions::from_str(&variable("RUNLEDGER_TEST_POSTGRES_URL")).unwrap()
}

async fn server() -> PgConnection {
    PgConnection::connect_with(&options()).await.unwrap()
}

const SUBMISSIONS: &str = "
    select submission_id, principal, lane, pool, language, language_version, origin, state, verdict, accepted_at,
           compiled_at, cancellation_requested_at, finished_at, accepted_sequence, sequence, violations, case_count,
           suite_sha256, request_hash, compiled::text as compiled, outcome::text as outcome
    from results_submissions";

const ATTEMPTS: &str = "
    select submission_id, number, executor, boot_id, image, image_digest, sandbox_profile, isolation, kernel, cpu_model,
           started_at, lost_reason, lost_at
    from results_attempts order by number";

const CASES: &str = "
    select submission_id, case_number, name::text as name, verdict, exit_code, exit_signal, cpu_us, wall_us, memory_kib,
           output_sha256, points
    from results_case_results order by case_number";
