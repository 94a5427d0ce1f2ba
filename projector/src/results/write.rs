//! Writing changed rows: one statement for each table, with arrays, since a round trip costs more than a row.

use events::SubmissionId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::changes::Changes;
use super::rows::{AttemptRow, CaseRow, SubmissionRow};
use crate::error::{ProjectionError, TooLarge};

const SUBMISSIONS: &str = "
    insert into submissions (
        generation, submission_id, principal, lane, pool, language, language_version, origin, state, verdict,
        accepted_at, compiled_at, cancellation_requested_at, finished_at, accepted_sequence, sequence, violations,
        case_count, suite_sha256, request_hash, compiled, outcome)
    select $1, submission_id, principal, lane, pool, language, language_version, origin, state, verdict,
        accepted_at, compiled_at, cancellation_requested_at, finished_at, accepted_sequence, sequence, violations,
        case_count, suite_sha256, request_hash, compiled::json, outcome::json
    from unnest(
        $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::bigint[], $16::bigint[],
        $17::bigint[], $18::bigint[], $19::text[], $20::text[], $21::text[], $22::text[])
    as rows (
        submission_id, principal, lane, pool, language, language_version, origin, state, verdict,
        accepted_at, compiled_at, cancellation_requested_at, finished_at, accepted_sequence, sequence, violations,
        case_count, suite_sha256, request_hash, compiled, outcome)
    on conflict (generation, submission_id) do update set
        state = excluded.state, verdict = excluded.verdict, compiled_at = excluded.compiled_at,
        cancellation_requested_at = excluded.cancellation_requested_at, finished_at = excluded.finished_at,
        sequence = excluded.sequence, violations = excluded.violations, compiled = excluded.compiled,
        outcome = excluded.outcome";

const ATTEMPTS: &str = "
    insert into attempts (
        generation, submission_id, number, executor, boot_id, image, image_digest, sandbox_profile, isolation, kernel,
        cpu_model, started_at, lost_reason, lost_at)
    select $1, rows.*
    from unnest(
        $2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::text[], $12::timestamptz[], $13::text[], $14::timestamptz[]) as rows
    on conflict (generation, submission_id, number) do update set
        lost_reason = excluded.lost_reason, lost_at = excluded.lost_at";

const CASE_RESULTS: &str = "
    insert into case_results (
        generation, submission_id, case_number, name, verdict, exit_code, exit_signal, cpu_us, wall_us, memory_kib,
        output_sha256, points)
    select $1, submission_id, case_number, name::json, verdict, exit_code, exit_signal, cpu_us, wall_us, memory_kib,
        output_sha256, points
    from unnest(
        $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::integer[], $7::integer[], $8::bigint[], $9::bigint[],
        $10::bigint[], $11::text[], $12::bigint[])
    as rows (
        submission_id, case_number, name, verdict, exit_code, exit_signal, cpu_us, wall_us, memory_kib,
        output_sha256, points)
    on conflict (generation, submission_id, case_number) do update set
        name = excluded.name, verdict = excluded.verdict, exit_code = excluded.exit_code,
        exit_signal = excluded.exit_signal, cpu_us = excluded.cpu_us, wall_us = excluded.wall_us,
        memory_kib = excluded.memory_kib, output_sha256 = excluded.output_sha256, points = excluded.points";

const DROP_RESULTS: &str = "
    delete from case_results
    using unnest($2::uuid[], $3::bigint[]) as dropped (submission_id, first)
    where generation = $1 and case_results.submission_id = dropped.submission_id and case_number >= dropped.first";

const UNACCEPTED: &str = "
    insert into unaccepted_submissions (generation, submission_id, violations)
    select $1, rows.* from unnest($2::uuid[], $3::bigint[]) as rows
    on conflict (generation, submission_id) do update set violations = excluded.violations";

const ACCEPTED_LATE: &str = "
    delete from unaccepted_submissions where generation = $1 and submission_id = any($2)";

/// Writes every change.
pub(super) async fn all(
    connection: &mut PgConnection,
    generation: i32,
    changes: &Changes<'_>,
) -> Result<(), ProjectionError> {
    submissions(connection, generation, changes).await?;
    attempts(connection, generation, changes).await?;
    drop_results(connection, generation, changes).await?;
    case_results(connection, generation, changes).await?;
    unaccepted(connection, generation, changes).await
}

/// Takes one column out of rows.
fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

async fn submissions(
    connection: &mut PgConnection,
    generation: i32,
    changes: &Changes<'_>,
) -> Result<(), ProjectionError> {
    if changes.submissions.is_empty() {
        return Ok(());
    }
    let rows: Vec<SubmissionRow> = changes
        .submissions
        .iter()
        .map(|(submission, violations)| SubmissionRow::of(submission, *violations))
        .collect::<Result<_, TooLarge>>()?;
    sqlx::query(SUBMISSIONS)
        .bind(generation)
        .bind(column(&rows, |row| row.submission_id))
        .bind(column(&rows, |row| row.principal.as_str()))
        .bind(column(&rows, |row| row.lane.as_str()))
        .bind(column(&rows, |row| row.pool.as_str()))
        .bind(column(&rows, |row| row.language.as_str()))
        .bind(column(&rows, |row| row.language_version.as_str()))
        .bind(column(&rows, |row| row.origin.as_str()))
        .bind(column(&rows, |row| row.state.as_str()))
        .bind(column(&rows, |row| row.verdict.as_deref()))
        .bind(column(&rows, |row| row.accepted_at))
        .bind(column(&rows, |row| row.compiled_at))
        .bind(column(&rows, |row| row.cancellation_requested_at))
        .bind(column(&rows, |row| row.finished_at))
        .bind(column(&rows, |row| row.accepted_sequence))
        .bind(column(&rows, |row| row.sequence))
        .bind(column(&rows, |row| row.violations))
        .bind(column(&rows, |row| row.case_count))
        .bind(column(&rows, |row| row.suite_sha256.as_deref()))
        .bind(column(&rows, |row| row.request_hash.as_str()))
        .bind(column(&rows, |row| row.compiled.as_deref()))
        .bind(column(&rows, |row| row.outcome.as_deref()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn attempts(
    connection: &mut PgConnection,
    generation: i32,
    changes: &Changes<'_>,
) -> Result<(), ProjectionError> {
    if changes.attempts.is_empty() {
        return Ok(());
    }
    let rows = column(&changes.attempts, |(id, attempt)| AttemptRow::of(*id, attempt));
    sqlx::query(ATTEMPTS)
        .bind(generation)
        .bind(column(&rows, |row| row.submission_id))
        .bind(column(&rows, |row| row.number))
        .bind(column(&rows, |row| row.executor.as_str()))
        .bind(column(&rows, |row| row.boot_id))
        .bind(column(&rows, |row| row.image.as_str()))
        .bind(column(&rows, |row| row.image_digest.as_str()))
        .bind(column(&rows, |row| row.sandbox_profile.as_str()))
        .bind(column(&rows, |row| row.isolation.as_str()))
        .bind(column(&rows, |row| row.kernel.as_str()))
        .bind(column(&rows, |row| row.cpu_model.as_str()))
        .bind(column(&rows, |row| row.started_at))
        .bind(column(&rows, |row| row.lost_reason.as_deref()))
        .bind(column(&rows, |row| row.lost_at))
        .execute(connection)
        .await?;
    Ok(())
}

async fn drop_results(
    connection: &mut PgConnection,
    generation: i32,
    changes: &Changes<'_>,
) -> Result<(), ProjectionError> {
    if changes.dropped_results.is_empty() {
        return Ok(());
    }
    let firsts = column(&changes.dropped_results, |(_, first)| {
        i64::try_from(*first).expect("a vector is shorter than 2^63")
    });
    sqlx::query(DROP_RESULTS)
        .bind(generation)
        .bind(column(&changes.dropped_results, |(id, _)| id.as_uuid()))
        .bind(firsts)
        .execute(connection)
        .await?;
    Ok(())
}

async fn case_results(
    connection: &mut PgConnection,
    generation: i32,
    changes: &Changes<'_>,
) -> Result<(), ProjectionError> {
    if changes.case_results.is_empty() {
        return Ok(());
    }
    let rows: Vec<CaseRow> = changes
        .case_results
        .iter()
        .map(|(id, result)| CaseRow::of(*id, result))
        .collect::<Result<_, TooLarge>>()?;
    sqlx::query(CASE_RESULTS)
        .bind(generation)
        .bind(column(&rows, |row| row.submission_id))
        .bind(column(&rows, |row| row.case_number))
        .bind(column(&rows, |row| row.name.as_deref()))
        .bind(column(&rows, |row| row.verdict.as_str()))
        .bind(column(&rows, |row| row.exit_code))
        .bind(column(&rows, |row| row.exit_signal))
        .bind(column(&rows, |row| row.cpu_us))
        .bind(column(&rows, |row| row.wall_us))
        .bind(column(&rows, |row| row.memory_kib))
        .bind(column(&rows, |row| row.output_sha256.as_str()))
        .bind(column(&rows, |row| row.points))
        .execute(connection)
        .await?;
    Ok(())
}

async fn unaccepted(
    connection: &mut PgConnection,
    generation: i32,
    changes: &Changes<'_>,
) -> Result<(), ProjectionError> {
    if !changes.unaccepted.is_empty() {
        let ids: Vec<Uuid> = column(&changes.unaccepted, |(id, _)| id.as_uuid());
        let violations = column(&changes.unaccepted, |(_, violations)| i64::from(*violations));
        sqlx::query(UNACCEPTED)
            .bind(generation)
            .bind(ids)
            .bind(violations)
            .execute(&mut *connection)
            .await?;
    }
    if !changes.accepted_late.is_empty() {
        let ids = column(&changes.accepted_late, SubmissionId::as_uuid);
        sqlx::query(ACCEPTED_LATE).bind(generation).bind(ids).execute(connection).await?;
    }
    Ok(())
}
