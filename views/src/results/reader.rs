//! The readers' side of `results`. Each question is one statement, so that what it returns is of
//! one moment and of one generation. Each has a deadline, and one that went unanswered spares the
//! next ones the wait.

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use async_trait::async_trait;
use events::{Lane, LanguageSlug, State, Submission, SubmissionId, UserId};
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, FromRow as _, PgPool, Row as _};
use tracing::instrument;
use uuid::Uuid;

use super::attempts::AttemptRow;
use super::breaker::CircuitBreaker;
use super::case_results::CaseRow;
use super::checkpoint::NAME;
use super::column_values::RowPlace;
use super::submissions::SubmissionRow;
use super::summaries::{LEFT_OUT, PARTS_OF_OUTCOME, READABLE_OUTCOME, Summary, SummaryRow};
use super::table::{JsonText, TableRow, key_list, select_list};
use crate::error::{Impossible, OpenError, ViewError};

/// The most connections. Reads are short, and PostgreSQL has work of its own.
const CONNECTIONS_MAX: u32 = 8;
/// How long one question may take, connecting included.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(1);

/// Answers from the view. It does not ask who may see what.
#[async_trait]
pub trait ResultsView: fmt::Debug + Send + Sync {
    /// Looks a submission up.
    async fn find(&self, id: SubmissionId) -> Result<FoundSubmission, ViewError>;

    /// Lists submissions, the newest first.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Summary>, ViewError>;

    /// Asks for a sign of life.
    async fn ping(&self) -> Result<(), ViewError>;
}

/// What the view knows of one submission, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSubmission {
    /// Every event up to this sequence is in the view.
    pub position: u64,
    /// The submission, if its acceptance is in the view.
    pub submission: Option<Submission>,
}

/// Which submissions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Whose.
    pub principal: UserId,
    /// Only those accepted before this sequence.
    pub before: Option<u64>,
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those in this language.
    pub language: Option<LanguageSlug>,
    /// Only those of this lane.
    pub lane: Option<Lane>,
    /// At most so many.
    pub limit: u32,
}

/// The view in PostgreSQL.
pub struct ResultsReader {
    pool: PgPool,
    breaker: CircuitBreaker,
}

impl ResultsReader {
    /// Prepares connections to `url`; none is made before the first question.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        // Every question here is answered by an index. Without this, a plan that was made while a
        // table was small is kept while it grows, until statistics are taken again.
        let plans = [("enable_seqscan", "off")];
        let options = PgConnectOptions::from_str(url)?.application_name("query-api").options(plans);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(QUESTION_TIME_MAX)
            .connect_lazy_with(options);
        Ok(Self { pool, breaker: CircuitBreaker::default() })
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
            return Err(away("it did not answer a moment ago"));
        }
        // The pool's own limit bounds the wait for a connection, not the wait for an answer.
        let answer = tokio::time::timeout(QUESTION_TIME_MAX, question).await;
        let answer = answer.map_err(away).and_then(|answer| answer.map_err(away));
        match &answer {
            Ok(_) => self.breaker.close(),
            Err(_) => self.breaker.open(),
        }
        answer
    }
}

impl fmt::Debug for ResultsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultsReader").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

#[async_trait]
impl ResultsView for ResultsReader {
    #[instrument(skip_all, fields(submission.id = %id))]
    async fn find(&self, id: SubmissionId) -> Result<FoundSubmission, ViewError> {
        // Safe: the text is made of names in this crate; what clients send is bound.
        let question = sqlx::query(AssertSqlSafe(find_sql())).bind(id.as_uuid());
        let row = self.ask(question.fetch_one(&self.pool)).await?;
        found(id, &row)
    }

    #[instrument(skip_all)]
    async fn list(&self, query: &ListQuery) -> Result<Vec<Summary>, ViewError> {
        let before = query.before.and_then(|before| i64::try_from(before).ok());
        let question = sqlx::query_as::<_, SummaryRow>(AssertSqlSafe(list_sql()))
            .bind(query.principal.as_str())
            // A bound that the column cannot hold lies above every row.
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

/// Spells the statement for one submission with its attempts and results, and the view's position;
/// one row always.
pub fn find_sql() -> String {
    // Joined to the id rather than selected by it, so that the position comes even where there is
    // no submission.
    let columns = select_list::<SubmissionRow>(&[]);
    let (attempts, results) = (rows_as_json::<AttemptRow>(), rows_as_json::<CaseRow>());
    format!(
        "select (select sequence from results_position) as position, {columns},
            {attempts} as attempts, {results} as results
        from (select $1::uuid as id) wanted
        left join results_submissions on submission_id = wanted.id"
    )
}

/// Spells the statement for the newest submissions of one principal, before a sequence.
pub fn list_sql() -> String {
    // One text for every combination of filters, so that each connection prepares one statement.
    let columns = select_list::<SubmissionRow>(&LEFT_OUT);
    format!(
        "select {columns}, {PARTS_OF_OUTCOME}
        from results_submissions {READABLE_OUTCOME}
        where principal = $1
          and accepted_sequence < $2
          and ($3::text is null or state = $3)
          and ($4::text is null or language = $4)
          and ($5::text is null or lane = $5)
        order by accepted_sequence desc
        limit $6"
    )
}

/// Spells the rows of another table that belong to the submission, so that one statement brings
/// them all.
fn rows_as_json<R: TableRow>() -> String {
    let (columns, table, key) = (select_list::<R>(&[]), R::TABLE, key_list::<R>());
    format!(
        "(select json_agg(row order by {key})
            from (select {columns} from results_{table} where submission_id = wanted.id) row)::text"
    )
}

/// Reads the answer to [`find_sql`]. Where there is no submission, its columns are null.
fn found(id: SubmissionId, row: &PgRow) -> Result<FoundSubmission, ViewError> {
    let position: i64 = row.try_get("position").map_err(away)?;
    let place = RowPlace { table: "results_position", key: NAME };
    let position = place.number("sequence", position)?;
    // The row always comes, for the sake of the position.
    let known: Option<Uuid> = row.try_get("submission_id").map_err(away)?;
    if known.is_none() {
        return Ok(FoundSubmission { position, submission: None });
    }
    let attempts = from_json(id, row.try_get("attempts").map_err(away)?)?;
    let results = from_json(id, row.try_get("results").map_err(away)?)?;
    let submission = SubmissionRow::from_row(row).map_err(away)?;
    Ok(FoundSubmission {
        position,
        submission: submission.into_fold(attempts, results)?.submission,
    })
}

fn from_json<R: TableRow + DeserializeOwned>(
    id: SubmissionId,
    rows: Option<JsonText>,
) -> Result<Vec<R>, Impossible> {
    let place = RowPlace { table: R::TABLE, key: id };
    // All columns come as one text, so it is the source of the error that names the faulty one.
    rows.map(|rows| place.json("*", &rows)).transpose().map(Option::unwrap_or_default)
}

fn away(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ViewError {
    ViewError::Away { detail: "the results view does not answer", source: source.into() }
}
