//! A PostgreSQL database of a test's own.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its part fails its test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr as _;

use events::{Fold, Submission, SubmissionId};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::attempts::AttemptRow;
use super::case_results::CaseRow;
use super::changes::RowChanges;
use super::submissions::SubmissionRow;
use super::table::{TableRow, key_list, select_list};
use super::unaccepted_submissions::UnacceptedRow;
use super::writer::ResultsWriter;
use crate::testing::{fresh_name, variable};

/// The database, on the server at `RUNLEDGER_TEST_POSTGRES_URL`.
#[derive(Debug)]
pub struct ResultsDatabase {
    /// Connections to it.
    pub pool: PgPool,
    name: String,
}

impl ResultsDatabase {
    /// Makes it without a schema.
    pub async fn empty() -> Self {
        let name = fresh_name();
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::query(create).execute(&mut server().await).await.unwrap();
        Self { pool: PgPool::connect_lazy_with(options().database(&name)), name }
    }

    /// Makes it with the schema.
    pub async fn migrated() -> Self {
        let database = Self::empty().await;
        ResultsWriter::connect_lazy(&database.url()).unwrap().migrate().await.unwrap();
        database
    }

    /// Returns the address of the server.
    pub fn server_address() -> SocketAddr {
        let options = options();
        format!("{}:{}", options.get_host(), options.get_port()).parse().unwrap()
    }

    /// Returns the URL of the database.
    pub fn url(&self) -> String {
        options().database(&self.name).to_url_lossy().into()
    }

    /// Returns the URL of the database by another way to its server.
    pub fn url_by(&self, address: SocketAddr) -> String {
        let options = options().database(&self.name);
        options.host(&address.ip().to_string()).port(address.port()).to_url_lossy().into()
    }

    /// Reads every accepted submission as readers see it, in one snapshot.
    pub async fn visible(&self) -> BTreeMap<SubmissionId, Fold> {
        // Without one snapshot a projector could commit between two of the selects.
        let mut snapshot = self.pool.begin().await.unwrap();
        let isolation = "set transaction isolation level repeatable read read only";
        sqlx::query(isolation).execute(&mut *snapshot).await.unwrap();
        let rows: Vec<SubmissionRow> = seen(&mut snapshot).await;
        let attempts: Vec<AttemptRow> = seen(&mut snapshot).await;
        let results: Vec<CaseRow> = seen(&mut snapshot).await;
        let fold = |row: SubmissionRow| {
            let id = row.submission_id;
            let attempts = attempts.iter().filter(|it| it.submission_id == id).cloned();
            let results = results.iter().filter(|it| it.submission_id == id).cloned();
            let fold = row.into_fold(attempts.collect(), results.collect()).unwrap();
            (SubmissionId::new(id), fold)
        };
        rows.into_iter().map(fold).collect()
    }

    /// Reads the submissions that have events and no acceptance, in the live generation.
    pub async fn unaccepted(&self) -> BTreeMap<SubmissionId, Fold> {
        let columns = select_list::<UnacceptedRow>();
        let select = AssertSqlSafe(format!(
            "select {columns} from unaccepted_submissions
             where generation = (select generation from projections where projection_name = 'results')"
        ));
        let rows: Vec<UnacceptedRow> = sqlx::query_as(select).fetch_all(&self.pool).await.unwrap();
        rows.into_iter()
            .map(|row| (SubmissionId::new(row.submission_id), row.try_into().unwrap()))
            .collect()
    }

    /// Writes a submission into a generation as the projector does, over what stands there.
    pub async fn put(&self, generation: i32, submission: &Submission) {
        let mut connection = self.pool.acquire().await.unwrap();
        // Deleted first: an upsert keeps fixed columns, and rows that the new state does not have.
        for table in [SubmissionRow::TABLE, AttemptRow::TABLE, CaseRow::TABLE] {
            let delete = AssertSqlSafe(format!(
                "delete from {table} where generation = $1 and submission_id = $2"
            ));
            let delete = sqlx::query(delete).bind(generation).bind::<Uuid>(submission.id.as_uuid());
            delete.execute(&mut *connection).await.unwrap();
        }
        let id = submission.id;
        let attempts =
            submission.attempts.iter().map(|attempt| AttemptRow::from_attempt(id, attempt));
        let results =
            submission.results.iter().map(|result| CaseRow::from_result(id, result).unwrap());
        let changes = RowChanges {
            submissions: vec![SubmissionRow::from_submission(submission, 0).unwrap()],
            attempts: attempts.collect(),
            case_results: results.collect(),
            ..RowChanges::default()
        };
        changes.write(&mut connection, generation).await.unwrap();
    }

    /// Moves the checkpoint of a generation, which need not exist.
    pub async fn move_to(&self, generation: i32, sequence: u64) {
        let insert = "insert into checkpoints values ('results', $1, $2, $3, $4)
            on conflict (projection_name, generation) do update
            set sequence = excluded.sequence, ledger_id = excluded.ledger_id, digest = excluded.digest";
        let is_begun = sequence > 0;
        let sequence = i64::try_from(sequence).unwrap();
        let insert = sqlx::query(insert).bind(generation).bind(sequence);
        let insert = insert.bind(is_begun.then(Uuid::nil)).bind(is_begun.then(|| "0".repeat(64)));
        insert.execute(&self.pool).await.unwrap();
    }

    /// Makes a generation the live one.
    pub async fn switch(&self, generation: i32) {
        let switch = "update projections set generation = $1";
        sqlx::query(switch).bind(generation).execute(&self.pool).await.unwrap();
    }

    /// Counts what is stored of one generation.
    pub async fn count(&self, generation: i32) -> u64 {
        let mut count = 0;
        for table in [
            SubmissionRow::TABLE,
            AttemptRow::TABLE,
            CaseRow::TABLE,
            UnacceptedRow::TABLE,
            "checkpoints",
        ] {
            let rows = AssertSqlSafe(format!("select count(*) from {table} where generation = $1"));
            let rows = sqlx::query_scalar::<_, i64>(rows).bind(generation);
            count += u64::try_from(rows.fetch_one(&self.pool).await.unwrap()).unwrap();
        }
        count
    }

    /// Carries out statements as they are.
    pub async fn execute(&self, statements: &'static str) {
        sqlx::raw_sql(statements).execute(&self.pool).await.unwrap();
    }

    /// Removes the database.
    pub async fn remove(self) {
        self.pool.close().await;
        // By force: a service that the test has killed may have left a session behind.
        let drop = AssertSqlSafe(format!("drop database {} with (force)", self.name));
        sqlx::query(drop).execute(&mut server().await).await.unwrap();
    }
}

/// Reads all that readers see of one table.
async fn seen<R>(connection: &mut PgConnection) -> Vec<R>
where
    R: TableRow + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let (columns, table, key) = (select_list::<R>(), R::TABLE, key_list::<R>());
    let select = AssertSqlSafe(format!("select {columns} from results_{table} order by {key}"));
    sqlx::query_as(select).fetch_all(connection).await.unwrap()
}

fn options() -> PgConnectOptions {
    PgConnectOptions::from_str(&variable("RUNLEDGER_TEST_POSTGRES_URL")).unwrap()
}

async fn server() -> PgConnection {
    PgConnection::connect_with(&options()).await.unwrap()
}
