//! The results views, row by row, against the fold (I6). The comparison goes by the migrations'
//! descriptions and shares no code with the projector.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use events::event::CaseResult;
use events::submission::{Attempt, Outcome};
use events::{Exit, Fold, Submission, SubmissionId, Timestamp};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::AuditedForeign;
use crate::servers::postgres::ResultsDatabase;

/// Fails while the view is behind `sequence`.
pub(super) async fn caught_up(postgres: &ResultsDatabase, sequence: u64) -> Result<()> {
    let mut connection = PgConnection::connect(&postgres.url()?).await?;
    let query = sqlx::query_scalar("select sequence from results_position");
    let position: i64 = query.fetch_one(&mut connection).await?;
    ensure!(u64::try_from(position)? >= sequence, "the view stands at {position} of {sequence}");
    Ok(())
}

/// Compares every row of the three views.
pub(super) async fn compare(
    postgres: &ResultsDatabase,
    folds: &BTreeMap<SubmissionId, Fold>,
) -> Result<()> {
    let mut connection = PgConnection::connect(&postgres.url()?).await?;
    let expected: Vec<(&Submission, u32)> = folds
        .values()
        .filter_map(|fold| fold.submission.as_ref().map(|submission| (submission, fold.violations)))
        .collect();
    let submissions =
        expected.iter().map(|(submission, violations)| submission_row(submission, *violations));
    let attempts = expected
        .iter()
        .flat_map(|(submission, _)| submission.attempts.iter().map(|a| attempt_row(submission, a)));
    let results = expected
        .iter()
        .flat_map(|(submission, _)| submission.results.iter().map(|r| case_row(submission, r)));
    same("results_submissions", "submission_id", &mut connection, submissions.collect()).await?;
    same("results_attempts", "submission_id, number", &mut connection, attempts.collect()).await?;
    same("results_case_results", "submission_id, case_number", &mut connection, results.collect())
        .await
}

/// Checks that every foreign message is on record.
pub(super) async fn compare_quarantine(
    postgres: &ResultsDatabase,
    foreign: &[AuditedForeign],
) -> Result<()> {
    let mut connection = PgConnection::connect(&postgres.url()?).await?;
    let query = "select sequence, payload_bytes, digest from quarantined_messages";
    let recorded: Vec<(i64, i64, String)> =
        sqlx::query_as(query).fetch_all(&mut connection).await?;
    for message in foreign {
        let AuditedForeign { sequence, length, sha256, .. } = message;
        let row = (i64::try_from(*sequence)?, i64::try_from(*length)?, sha256.to_string());
        ensure!(recorded.contains(&row), "{message:?} is not in quarantined_messages");
    }
    Ok(())
}

/// `expected` is in the order of the key: submissions by id, and numbers rising.
async fn same(
    view: &str,
    key: &str,
    connection: &mut PgConnection,
    expected: Vec<Value>,
) -> Result<()> {
    // Times as microseconds since 1970, because that is how exactly Postgres keeps them.
    let query =
        format!("select row_to_json(row)::text from (select * from {view} order by {key}) row");
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(connection).await?;
    ensure!(
        rows.len() == expected.len(),
        "{view} has {} rows, the fold {}",
        rows.len(),
        expected.len()
    );
    for (row, expected) in rows.iter().zip(expected) {
        let mut row: Value = serde_json::from_str(row)?;
        normalize_times(&mut row)?;
        ensure!(row == expected, "{view} differs from the fold:\n row {row}\nfold {expected}");
    }
    Ok(())
}

fn normalize_times(row: &mut Value) -> Result<()> {
    let members = row.as_object_mut().context("a row is an object")?;
    for (name, value) in members.iter_mut().filter(|(name, _)| name.ends_with("_at")) {
        if let Value::String(text) = value {
            let time: Timestamp = text.parse().with_context(|| format!("{name} is {text}"))?;
            *value = json!(time.timestamp_micros());
        }
    }
    Ok(())
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(|time| time.timestamp_micros())
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
    )
}

fn submission_row(submission: &Submission, violations: u32) -> Value {
    let completed = match &submission.outcome {
        Some(Outcome::Completed(completed)) => Some(completed),
        Some(Outcome::Failed(_) | Outcome::Cancelled(_)) | None => None,
    };
    let usage = completed.and_then(|completed| completed.program_usage());
    let cases = completed.and_then(|completed| completed.cases.as_ref());
    object([
        ("submission_id", json!(submission.id)),
        ("principal", json!(submission.principal)),
        ("lane", json!(submission.lane)),
        ("pool", json!(submission.pool)),
        ("language", json!(submission.language.slug)),
        ("language_version", json!(submission.language.version)),
        ("origin", json!(submission.origin)),
        ("state", json!(submission.state)),
        ("verdict", json!(submission.verdict())),
        ("accepted_at", json!(submission.accepted_at.timestamp_micros())),
        ("compiled_at", json!(micros(submission.compiled_at))),
        ("cancellation_requested_at", json!(micros(submission.cancellation_requested_at))),
        ("finished_at", json!(micros(submission.finished_at))),
        ("accepted_sequence", json!(submission.accepted_sequence)),
        ("sequence", json!(submission.sequence)),
        ("violations", json!(violations)),
        ("case_count", json!(submission.case_count)),
        ("suite_sha256", json!(submission.suite_sha256)),
        ("request_hash", json!(submission.request_hash)),
        ("compiled", json!(submission.compiled)),
        ("outcome", json!(submission.outcome)),
        ("cpu_us", json!(usage.map(|usage| usage.cpu_us))),
        ("wall_us", json!(usage.map(|usage| usage.wall_us))),
        ("discounted_us", json!(usage.map(|usage| usage.discounted_us))),
        ("memory_kib", json!(usage.map(|usage| usage.memory_kib))),
        ("cases_total", json!(cases.map(|cases| cases.total))),
        ("cases_passed", json!(cases.map(|cases| cases.passed))),
        ("points", json!(cases.map(|cases| cases.points))),
        ("points_max", json!(cases.map(|cases| cases.points_max))),
    ])
}

fn attempt_row(submission: &Submission, attempt: &Attempt) -> Value {
    object([
        ("submission_id", json!(submission.id)),
        ("number", json!(attempt.number)),
        ("executor", json!(attempt.executor)),
        ("boot_id", json!(attempt.boot_id)),
        ("image", json!(attempt.image)),
        ("image_digest", json!(attempt.image_digest)),
        ("sandbox_profile", json!(attempt.sandbox_profile)),
        ("isolation", json!(attempt.isolation)),
        ("kernel", json!(attempt.kernel)),
        ("cpu_model", json!(attempt.cpu_model)),
        ("language_version", json!(attempt.language_version)),
        ("started_at", json!(attempt.started_at.timestamp_micros())),
        ("lost_reason", json!(attempt.lost.map(|lost| lost.reason))),
        ("lost_at", json!(micros(attempt.lost.map(|lost| lost.at)))),
    ])
}

fn case_row(submission: &Submission, result: &CaseResult) -> Value {
    let (code, signal) = match result.exit {
        Exit::Code(code) => (Some(code), None),
        Exit::Signal(signal) => (None, Some(signal)),
    };
    object([
        ("submission_id", json!(submission.id)),
        ("case_number", json!(result.case)),
        ("name", json!(result.name)),
        ("verdict", json!(result.verdict)),
        ("exit_code", json!(code)),
        ("exit_signal", json!(signal)),
        ("cpu_us", json!(result.usage.cpu_us)),
        ("wall_us", json!(result.usage.wall_us)),
        ("discounted_us", json!(result.usage.discounted_us)),
        ("memory_kib", json!(result.usage.memory_kib)),
        ("output_sha256", json!(result.output_sha256)),
        ("points", json!(result.points)),
    ])
}
