//! The readers' side of `results`. Each question is one statement, so that what it returns is of
//! one moment and of one generation.

use std::fmt;
use std::str::FromStr as _;

use async_trait::async_trait;
use events::{Lane, LanguageSlug, LedgerPosition, State, Submission, SubmissionId, UserId};
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, FromRow as _, PgPool, Row as _};
use tracing::instrument;
use uuid::Uuid;

use super::attempts::AttemptRow;
use super::case_results::CaseRow;
use super::checkpoint::{self, NAME};
use super::column_values::RowPlace;
use super::quarantine::{self, QuarantinedMessage};
use super::questions::{QUESTION_TIME_MAX, Questions, STATEMENT_TIME_MAX, away};
use super::submissions::SubmissionRow;
use super::summaries::{COLUMNS, Summary, SummaryRow};
use super::table::{JsonText, TableRow, key_list, select_list};
use crate::error::{Impossible, OpenError, ViewError};

/// The most connections. Reads are short, and PostgreSQL has work of its own.
// One for each question that may be under way, so that no question waits for a connection that a
// question of another kind holds.
const CONNECTIONS_MAX: u32 = 8;
/// Single submissions that are looked up at once.
const FINDS_MAX: usize = 4;
/// Lists that are read at once.
const LISTS_MAX: usize = 3;
/// Signs of life and positions that are asked for at once.
const PINGS_MAX: usize = 1;
/// The place of a list's first filter among its parameters.
const FIRST_FILTER: usize = 4;

/// Answers from the view. It does not ask who may see what.
#[async_trait]
pub trait ResultsView: fmt::Debug + Send + Sync {
    /// Looks a submission up.
    async fn find(&self, id: SubmissionId) -> Result<FoundSubmission, ViewError>;

    /// Lists submissions, the newest first.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Summary>, ViewError>;

    /// Lists what stands in the ledger and is no event: the last `limit` messages before a place,
    /// or of all. At one sequence each ledger and each digest is a place of its own.
    async fn quarantined(
        &self,
        before: Option<LedgerPosition>,
        limit: u32,
    ) -> Result<Vec<QuarantinedMessage>, ViewError>;

    /// Returns the last entry of the ledger that is in the view; none before the first.
    async fn position(&self) -> Result<Option<LedgerPosition>, ViewError>;

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

impl ListQuery {
    /// Returns the columns that must have a value, each with its value.
    fn filters(&self) -> Vec<(&'static str, String)> {
        let filters = [
            ("state", self.state.map(|state| state.as_str().to_owned())),
            ("language", self.language.as_ref().map(ToString::to_string)),
            ("lane", self.lane.map(|lane| lane.as_str().to_owned())),
        ];
        filters.into_iter().filter_map(|(column, value)| Some((column, value?))).collect()
    }
}

/// The view in PostgreSQL.
pub struct ResultsReader {
    pool: PgPool,
    finds: Questions,
    lists: Questions,
    pings: Questions,
}

impl ResultsReader {
    /// Prepares connections to `url`; none is made before the first question.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        let settings = [
            // Every question here is answered by an index. Without this, a plan that was made while
            // a table was small is kept while it grows, until statistics are taken again.
            ("enable_seqscan", "off".to_owned()),
            ("statement_timeout", STATEMENT_TIME_MAX.as_millis().to_string()),
        ];
        let options = PgConnectOptions::from_str(url)?;
        let options = options.application_name("query-api").options(settings);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(QUESTION_TIME_MAX)
            .connect_lazy_with(options);
        let questions = |at_once_max| Questions::new(pool.clone(), at_once_max);
        let [finds, lists, pings] = [FINDS_MAX, LISTS_MAX, PINGS_MAX].map(questions);
        Ok(Self { pool, finds, lists, pings })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
        for questions in [&self.finds, &self.lists, &self.pings] {
            questions.finish().await;
        }
    }
}

impl fmt::Debug for ResultsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultsReader").field("finds", &self.finds).finish_non_exhaustive()
    }
}

#[async_trait]
impl ResultsView for ResultsReader {
    #[instrument(skip_all, fields(submission.id = %id))]
    async fn find(&self, id: SubmissionId) -> Result<FoundSubmission, ViewError> {
        let question = move |pool: PgPool| async move {
            // Safe: the text is made of names in this crate; what clients send is bound.
            let find = sqlx::query(AssertSqlSafe(find_sql())).bind(id.as_uuid());
            find.fetch_one(&pool).await
        };
        let row = self.finds.ask(question).await?;
        found(id, &row)
    }

    #[instrument(skip_all)]
    async fn list(&self, query: &ListQuery) -> Result<Vec<Summary>, ViewError> {
        let (sql, filters) = (list_sql(query), query.filters());
        let principal = query.principal.to_string();
        // A bound that the column cannot hold lies above every row.
        let before = query.before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let limit = i64::from(query.limit);
        let question = move |pool: PgPool| async move {
            let list = sqlx::query_as::<_, SummaryRow>(AssertSqlSafe(sql));
            let list = list.bind(principal).bind(before).bind(limit);
            let list = filters.into_iter().fold(list, |list, (_, value)| list.bind(value));
            list.fetch_all(&pool).await
        };
        let rows = self.lists.ask(question).await?;
        Ok(rows.into_iter().map(Summary::try_from).collect::<Result<_, _>>()?)
    }

    #[instrument(skip_all)]
    async fn quarantined(
        &self,
        before: Option<LedgerPosition>,
        limit: u32,
    ) -> Result<Vec<QuarantinedMessage>, ViewError> {
        let question =
            move |pool: PgPool| async move { quarantine::list(&pool, before, limit).await };
        let found = self.lists.ask(question).await?;
        Ok(found.into_iter().collect::<Result<_, _>>()?)
    }

    async fn position(&self) -> Result<Option<LedgerPosition>, ViewError> {
        let question = |pool: PgPool| async move { checkpoint::readers_position(&pool).await };
        Ok(self.pings.ask(question).await??)
    }

    async fn ping(&self) -> Result<(), ViewError> {
        let question = |pool: PgPool| async move {
            sqlx::query("select sequence from results_position").fetch_one(&pool).await
        };
        self.pings.ask(question).await.map(drop)
    }
}

/// Spells the statement for one submission with its attempts and results, and the view's position;
/// one row always.
pub fn find_sql() -> String {
    // Joined to the id rather than selected by it, so that the position comes even where there is
    // no submission.
    let columns = select_list::<SubmissionRow>();
    let (attempts, results) = (rows_as_json::<AttemptRow>(), rows_as_json::<CaseRow>());
    format!(
        "select (select sequence from results_position) as position, {columns},
            {attempts} as attempts, {results} as results
        from (select $1::uuid as id) wanted
        left join results_submissions on submission_id = wanted.id"
    )
}

/// Spells the statement for the newest submissions of one principal, before a sequence, with the
/// filters that are asked for.
pub fn list_sql(query: &ListQuery) -> String {
    // A text for each combination of filters: in one text for all, a filter that is not asked for
    // would have to be left open, and no index answers what is open.
    let filters = query.filters().into_iter().zip(FIRST_FILTER..);
    let filters = filters.map(|((column, _), number)| format!("and {column} = ${number} "));
    let filters = filters.collect::<Vec<_>>().concat();
    let columns = COLUMNS.join(", ");
    format!(
        "select {columns}
        from results_submissions
        where principal = $1 and accepted_sequence < $2 {filters}
        order by accepted_sequence desc
        limit $3"
    )
}

/// Spells the rows of another table that belong to the submission, so that one statement brings
/// them all.
fn rows_as_json<R: TableRow>() -> String {
    let (columns, table, key) = (select_list::<R>(), R::TABLE, key_list::<R>());
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
