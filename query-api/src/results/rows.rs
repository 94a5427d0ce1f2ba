//! Rows into domain values. A row that no projection writes is an error that names table, column and key.

use chrono::{DateTime, Utc};
use events::event::{CaseResult, LanguageRef};
use events::submission::{Attempt, LostAttempt};
use events::{Exit, Submission, SubmissionId, Usage, Verdict};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Found, Impossible, Summary};

const SUBMISSIONS: &str = "results_submissions";
const ATTEMPTS: &str = "results_attempts";
const CASE_RESULTS: &str = "results_case_results";

/// The row of [`FIND`](super::query::FIND): the columns of a submission are all null where there is none.
#[derive(Debug, FromRow)]
pub(super) struct FindRow {
    position: i64,
    submission_id: Option<Uuid>,
    principal: Option<String>,
    lane: Option<String>,
    pool: Option<String>,
    language: Option<String>,
    language_version: Option<String>,
    origin: Option<String>,
    state: Option<String>,
    accepted_at: Option<DateTime<Utc>>,
    compiled_at: Option<DateTime<Utc>>,
    cancellation_requested_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    accepted_sequence: Option<i64>,
    sequence: Option<i64>,
    case_count: Option<i64>,
    suite_sha256: Option<String>,
    request_hash: Option<String>,
    compiled: Option<String>,
    outcome: Option<String>,
    attempts: Option<String>,
    results: Option<String>,
}

impl TryFrom<FindRow> for Found {
    type Error = Impossible;

    fn try_from(mut row: FindRow) -> Result<Self, Impossible> {
        let position = u64::try_from(row.position)
            .map_err(|error| Row::of("results_position", "results").bad("sequence", error))?;
        let submission = match row.submission_id.take() {
            Some(id) => Some(submission(SubmissionId::new(id), row)?),
            None => None,
        };
        Ok(Self { position, submission })
    }
}

fn submission(id: SubmissionId, row: FindRow) -> Result<Submission, Impossible> {
    let at = Row::of(SUBMISSIONS, &id);
    let language = LanguageRef {
        slug: at.parse("language", row.language)?,
        version: at.present("language_version", row.language_version)?,
    };
    Ok(Submission {
        id,
        principal: at.parse("principal", row.principal)?,
        lane: at.named("lane", row.lane)?,
        pool: at.parse("pool", row.pool)?,
        language,
        origin: at.named("origin", row.origin)?,
        case_count: at.number("case_count", row.case_count)?,
        suite_sha256: row
            .suite_sha256
            .map(|hash| at.parse("suite_sha256", Some(hash)))
            .transpose()?,
        request_hash: at.parse("request_hash", row.request_hash)?,
        state: at.named("state", row.state)?,
        attempts: attempts(id, row.attempts.as_deref())?,
        compiled: row.compiled.map(|json| at.json("compiled", &json)).transpose()?,
        results: results(id, row.results.as_deref())?,
        outcome: row.outcome.map(|json| at.json("outcome", &json)).transpose()?,
        accepted_at: at.present("accepted_at", row.accepted_at)?,
        compiled_at: row.compiled_at,
        cancellation_requested_at: row.cancellation_requested_at,
        finished_at: row.finished_at,
        accepted_sequence: at.number("accepted_sequence", row.accepted_sequence)?,
        sequence: at.number("sequence", row.sequence)?,
    })
}

#[derive(Debug, Deserialize)]
struct AttemptRow {
    number: i64,
    executor: String,
    boot_id: Uuid,
    image: String,
    image_digest: String,
    sandbox_profile: String,
    isolation: String,
    kernel: String,
    cpu_model: String,
    started_at: DateTime<Utc>,
    lost_reason: Option<String>,
    lost_at: Option<DateTime<Utc>>,
}

fn attempts(id: SubmissionId, json: Option<&str>) -> Result<Vec<Attempt>, Impossible> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let rows: Vec<AttemptRow> = Row::of(ATTEMPTS, &id).json("*", json)?;
    rows.into_iter().map(|row| attempt(id, row)).collect()
}

fn attempt(id: SubmissionId, row: AttemptRow) -> Result<Attempt, Impossible> {
    let at = Row::of(ATTEMPTS, &format!("{id}, {}", row.number));
    let lost = match (row.lost_reason, row.lost_at) {
        (None, None) => None,
        (reason, lost_at) => Some(LostAttempt {
            reason: at.named("lost_reason", reason)?,
            at: at.present("lost_at", lost_at)?,
        }),
    };
    Ok(Attempt {
        number: at.number("number", Some(row.number))?,
        executor: at.parse("executor", Some(row.executor))?,
        boot_id: events::BootId::new(row.boot_id),
        image: row.image,
        image_digest: row.image_digest,
        sandbox_profile: at.parse("sandbox_profile", Some(row.sandbox_profile))?,
        isolation: at.named("isolation", Some(row.isolation))?,
        kernel: row.kernel,
        cpu_model: row.cpu_model,
        started_at: row.started_at,
        lost,
    })
}

#[derive(Debug, Deserialize)]
struct CaseRow {
    case_number: i64,
    name: Option<String>,
    verdict: String,
    exit_code: Option<i32>,
    exit_signal: Option<i32>,
    cpu_us: i64,
    wall_us: i64,
    memory_kib: i64,
    output_sha256: String,
    points: i64,
}

fn results(id: SubmissionId, json: Option<&str>) -> Result<Vec<CaseResult>, Impossible> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let rows: Vec<CaseRow> = Row::of(CASE_RESULTS, &id).json("*", json)?;
    rows.into_iter().map(|row| case_result(id, row)).collect()
}

fn case_result(id: SubmissionId, row: CaseRow) -> Result<CaseResult, Impossible> {
    let at = Row::of(CASE_RESULTS, &format!("{id}, {}", row.case_number));
    let exit = match (row.exit_code, row.exit_signal) {
        (Some(code), None) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (_, _) => return Err(at.bad("exit_code", "one of exit_code and exit_signal is set")),
    };
    Ok(CaseResult {
        case: at.number("case_number", Some(row.case_number))?,
        name: row.name,
        verdict: at.named("verdict", Some(row.verdict))?,
        exit,
        usage: Usage {
            cpu_us: at.number("cpu_us", Some(row.cpu_us))?,
            wall_us: at.number("wall_us", Some(row.wall_us))?,
            memory_kib: at.number("memory_kib", Some(row.memory_kib))?,
        },
        output_sha256: at.parse("output_sha256", Some(row.output_sha256))?,
        points: at.number("points", Some(row.points))?,
    })
}

/// The row of [`LIST`](super::query::LIST).
#[derive(Debug, FromRow)]
pub(super) struct ListRow {
    submission_id: Uuid,
    state: String,
    verdict: Option<String>,
    language: String,
    language_version: String,
    lane: String,
    accepted_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    accepted_sequence: i64,
    sequence: i64,
    usage: Option<String>,
    cases: Option<String>,
}

impl TryFrom<ListRow> for Summary {
    type Error = Impossible;

    fn try_from(row: ListRow) -> Result<Self, Impossible> {
        let id = SubmissionId::new(row.submission_id);
        let at = Row::of(SUBMISSIONS, &id);
        let slug = at.parse("language", Some(row.language))?;
        let verdict = |text| at.named::<Verdict>("verdict", Some(text));
        let json_null = |json: &String| json != "null";
        Ok(Self {
            id,
            state: at.named("state", Some(row.state))?,
            verdict: row.verdict.map(verdict).transpose()?,
            language: LanguageRef { slug, version: row.language_version },
            lane: at.named("lane", Some(row.lane))?,
            accepted_at: row.accepted_at,
            finished_at: row.finished_at,
            usage: row.usage.map(|json| at.json("outcome", &json)).transpose()?,
            cases: row.cases.filter(json_null).map(|json| at.json("outcome", &json)).transpose()?,
            accepted_sequence: at.number("accepted_sequence", Some(row.accepted_sequence))?,
            sequence: at.number("sequence", Some(row.sequence))?,
        })
    }
}

/// Where values come from, for the errors about them.
struct Row {
    table: &'static str,
    key: String,
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl Row {
    fn of(table: &'static str, key: &(impl ToString + ?Sized)) -> Self {
        Self { table, key: key.to_string() }
    }

    fn bad(&self, column: &'static str, source: impl Into<Source>) -> Impossible {
        let column = column.to_owned();
        Impossible { table: self.table, column, key: self.key.clone(), source: source.into() }
    }

    fn present<T>(&self, column: &'static str, value: Option<T>) -> Result<T, Impossible> {
        value.ok_or_else(|| self.bad(column, "it is null"))
    }

    fn parse<T>(&self, column: &'static str, text: Option<String>) -> Result<T, Impossible>
    where
        T: std::str::FromStr<Err: Into<Source>>,
    {
        self.present(column, text)?.parse().map_err(|error| self.bad(column, error))
    }

    /// Reads a value of an enum by its stored name.
    fn named<T>(&self, column: &'static str, text: Option<String>) -> Result<T, Impossible>
    where
        T: DeserializeOwned,
    {
        let text = self.present(column, text)?;
        let name = StrDeserializer::<serde::de::value::Error>::new(&text);
        T::deserialize(name).map_err(|error| self.bad(column, error))
    }

    fn number<T>(&self, column: &'static str, number: Option<i64>) -> Result<T, Impossible>
    where
        T: TryFrom<i64, Error: Into<Source>>,
    {
        T::try_from(self.present(column, number)?).map_err(|error| self.bad(column, error))
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str, json: &str) -> Result<T, Impossible> {
        serde_json::from_str(json).map_err(|error| self.bad(column, error))
    }
}
