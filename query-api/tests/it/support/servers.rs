//! Databases of a test's own on real servers, with rows as the projector writes them.

use std::str::FromStr;

use events::event::CaseResult;
use events::submission::Attempt;
use events::{Exit, Submission};
use mongodb::bson::Document;
use query_api::progress::mongo::MongoProgress;
use query_api::results::postgres::PostgresResults;
use serde::Serialize;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

/// A Postgres database with the schema in it.
pub(crate) struct Postgres {
    pub(crate) pool: PgPool,
    pub(crate) url: String,
    name: String,
}

impl Postgres {
    pub(crate) async fn fresh() -> Self {
        let name = fresh_name();
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::query(create).execute(&mut server().await).await.unwrap();
        let options = options().database(&name);
        let pool = PgPool::connect_with(options.clone()).await.unwrap();
        let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        let migrator = Migrator::new(std::path::Path::new(migrations)).await.unwrap();
        migrator.run(&pool).await.unwrap();
        Self { pool, url: options.to_url_lossy().to_string(), name }
    }

    pub(crate) fn view(&self) -> PostgresResults {
        PostgresResults::open(&self.url).unwrap()
    }

    /// Writes a submission into a generation, over what stands there.
    pub(crate) async fn put(&self, generation: i32, submission: &Submission) {
        self.clear(generation, submission).await;
        self.insert_submission(generation, submission).await;
        for attempt in &submission.attempts {
            self.insert_attempt(generation, submission, attempt).await;
        }
        for result in &submission.results {
            self.insert_result(generation, submission, result).await;
        }
    }

    /// Moves the checkpoint of a generation.
    pub(crate) async fn move_to(&self, generation: i32, sequence: u64) {
        let insert = "insert into checkpoints values ('results', $1, $2)
            on conflict (projection_name, generation) do update set sequence = excluded.sequence";
        let sequence = i64::try_from(sequence).unwrap();
        sqlx::query(insert).bind(generation).bind(sequence).execute(&self.pool).await.unwrap();
    }

    /// Makes a generation the live one.
    pub(crate) async fn switch(&self, generation: i32) {
        let switch = "update projections set generation = $1";
        sqlx::query(switch).bind(generation).execute(&self.pool).await.unwrap();
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    /// Removes the database.
    pub(crate) async fn remove(self) {
        self.pool.close().await;
        let drop = AssertSqlSafe(format!("drop database {} with (force)", self.name));
        sqlx::query(drop).execute(&mut server().await).await.unwrap();
    }

    async fn clear(&self, generation: i32, submission: &Submission) {
        for statement in [
            "delete from submissions where generation = $1 and submission_id = $2",
            "delete from attempts where generation = $1 and submission_id = $2",
            "delete from case_results where generation = $1 and submission_id = $2",
        ] {
            let delete = sqlx::query(statement).bind(generation).bind(submission.id.as_uuid());
            delete.execute(&self.pool).await.unwrap();
        }
    }

    async fn insert_submission(&self, generation: i32, known: &Submission) {
        let insert = "insert into submissions values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
            $15, $16, 0, $17, $18, $19, $20::json, $21::json)";
        sqlx::query(insert)
            .bind(generation)
            .bind(known.id.as_uuid())
            .bind(known.principal.as_str())
            .bind(known.lane.as_str())
            .bind(known.pool.as_str())
            .bind(known.language.slug.as_str())
            .bind(&known.language.version)
            .bind(known.origin.as_str())
            .bind(known.state.as_str())
            .bind(known.verdict().map(events::Verdict::as_str))
            .bind(known.accepted_at)
            .bind(known.compiled_at)
            .bind(known.cancellation_requested_at)
            .bind(known.finished_at)
            .bind(i64::try_from(known.accepted_sequence).unwrap())
            .bind(i64::try_from(known.sequence).unwrap())
            .bind(i64::from(known.case_count))
            .bind(known.suite_sha256.map(|hash| hash.to_string()))
            .bind(known.request_hash.to_string())
            .bind(known.compiled.as_ref().map(json))
            .bind(known.outcome.as_ref().map(json))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn insert_attempt(&self, generation: i32, known: &Submission, attempt: &Attempt) {
        let insert = "insert into attempts values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        sqlx::query(insert)
            .bind(generation)
            .bind(known.id.as_uuid())
            .bind(i64::from(attempt.number))
            .bind(attempt.executor.as_str())
            .bind(attempt.boot_id.as_uuid())
            .bind(&attempt.image)
            .bind(&attempt.image_digest)
            .bind(attempt.sandbox_profile.to_string())
            .bind(attempt.isolation.as_str())
            .bind(&attempt.kernel)
            .bind(&attempt.cpu_model)
            .bind(attempt.started_at)
            .bind(attempt.lost.map(|lost| lost.reason.as_str()))
            .bind(attempt.lost.map(|lost| lost.at))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn insert_result(&self, generation: i32, known: &Submission, result: &CaseResult) {
        let (code, signal) = match result.exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal)),
        };
        let number = |number: u64| i64::try_from(number).unwrap();
        let insert = "insert into case_results values ($1, $2, $3, $4::json, $5, $6, $7, $8, $9, $10, $11, $12)";
        sqlx::query(insert)
            .bind(generation)
            .bind(known.id.as_uuid())
            .bind(i64::from(result.case))
            .bind(result.name.as_ref().map(json))
            .bind(result.verdict.as_str())
            .bind(code)
            .bind(signal)
            .bind(number(result.usage.cpu_us))
            .bind(number(result.usage.wall_us))
            .bind(number(result.usage.memory_kib))
            .bind(result.output_sha256.to_string())
            .bind(i64::from(result.points))
            .execute(&self.pool)
            .await
            .unwrap();
    }
}

/// A MongoDB database.
pub(crate) struct Mongo {
    pub(crate) database: mongodb::Database,
    pub(crate) view: MongoProgress,
}

impl Mongo {
    pub(crate) async fn fresh() -> Self {
        let (url, name) = (variable("RUNLEDGER_TEST_MONGO_URL"), fresh_name());
        let view = MongoProgress::open(&url, &name).await.unwrap();
        let database = mongodb::Client::with_uri_str(&url).await.unwrap().database(&name);
        Self { database, view }
    }

    pub(crate) async fn insert(&self, collection: &str, document: Document) {
        self.database.collection(collection).insert_one(document).await.unwrap();
    }
}

fn options() -> PgConnectOptions {
    PgConnectOptions::from_str(&variable("RUNLEDGER_TEST_POSTGRES_URL")).unwrap()
}

async fn server() -> PgConnection {
    PgConnection::connect_with(&options()).await.unwrap()
}

fn fresh_name() -> String {
    use platform::ids::{IdSource, RandomIds};
    format!("query_api_{}", RandomIds.new_id().simple())
}

/// The address of a server. A test without its server has nothing to say.
pub(crate) fn variable(name: &str) -> String {
    let found = std::env::vars().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("{name} is not set: see `cargo dev test`")).1
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}
