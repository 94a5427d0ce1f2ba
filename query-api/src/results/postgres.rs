//! The view in Postgres. Every question has a deadline, and one that went unanswered spares the next ones the wait.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use events::{Lane, LanguageSlug, State, SubmissionId};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tracing::instrument;

use super::breaker::Breaker;
use super::rows::{FindRow, ListRow};
use super::{Found, ListQuery, ResultsView, Summary, ViewError, query};

/// The most connections. Reads are short, and Postgres has work of its own.
const CONNECTIONS_MAX: u32 = 8;
/// How long one question may take, connecting included.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(1);

/// The view's store.
pub struct PostgresResults {
    pool: PgPool,
    breaker: Breaker,
}

impl PostgresResults {
    /// Prepares connections to `url`; none is made before the first question.
    pub fn open(url: &str) -> Result<Self, sqlx::Error> {
        // Every question here is answered by an index. Without this, a plan that was made while a table was small is kept
        // while it grows, until statistics are taken again.
        let plans = [("enable_seqscan", "off")];
        let options = PgConnectOptions::from_str(url)?.application_name("query-api").options(plans);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(QUESTION_TIME_MAX)
            .connect_lazy_with(options);
        Ok(Self { pool, breaker: Breaker::default() })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, ViewError> {
        if !self.breaker.may_try() {
            return Err(ViewError::Away("it did not answer a moment ago".into()));
        }
        let answer = tokio::time::timeout(QUESTION_TIME_MAX, question).await;
        let answer = answer.map_err(|late| ViewError::Away(late.into()));
        let answer =
            answer.and_then(|answer| answer.map_err(|error| ViewError::Away(error.into())));
        match &answer {
            Ok(_) => self.breaker.close(),
            Err(_) => self.breaker.open(),
        }
        answer
    }
}

impl fmt::Debug for PostgresResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresResults").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

#[async_trait]
impl ResultsView for PostgresResults {
    #[instrument(skip_all, fields(submission.id = %id))]
    async fn find(&self, id: SubmissionId) -> Result<Found, ViewError> {
        let question = sqlx::query_as::<_, FindRow>(query::FIND).bind(id.as_uuid());
        let row = self.ask(question.fetch_one(&self.pool)).await?;
        Ok(Found::try_from(row)?)
    }

    #[instrument(skip_all)]
    async fn list(&self, query: &ListQuery) -> Result<Vec<Summary>, ViewError> {
        let before = query.before.and_then(|before| i64::try_from(before).ok());
        let question = sqlx::query_as::<_, ListRow>(query::LIST)
            .bind(query.principal.as_str())
            .bind(before.unwrap_or(i64::MAX))
            .bind(query.state.map(State::as_str))
            .bind(query.language.as_ref().map(LanguageSlug::as_str))
            .bind(query.lane.map(Lane::as_str))
            .bind(i64::from(query.limit));
        let rows = self.ask(question.fetch_all(&self.pool)).await?;
        Ok(rows.into_iter().map(Summary::try_from).collect::<Result<_, _>>()?)
    }

    async fn ping(&self) -> Result<(), ViewError> {
        let question = sqlx::query("select sequence from results_position");
        self.ask(question.fetch_one(&self.pool)).await.map(drop)
    }
}
