//! Loading the states that a batch goes on from.

use std::collections::BTreeMap;

use events::{Fold, SubmissionId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::States;
use super::rows::{AttemptRow, CaseRow, SubmissionRow};
use crate::error::{Impossible, ProjectionError};

const SUBMISSIONS: &str = "
    select submission_id, principal, lane, pool, language, language_version, origin, state, verdict, accepted_at,
           compiled_at, cancellation_requested_at, finished_at, accepted_sequence, sequence, violations, case_count,
           suite_sha256, request_hash, compiled::text as compiled, outcome::text as outcome
    from submissions
    where generation = $1 and submission_id = any($2)";

const ATTEMPTS: &str = "
    select submission_id, number, executor, boot_id, image, image_digest, sandbox_profile, isolation, kernel, cpu_model,
           started_at, lost_reason, lost_at
    from attempts
    where generation = $1 and submission_id = any($2)
    order by submission_id, number";

const CASE_RESULTS: &str = "
    select submission_id, case_number, name::text as name, verdict, exit_code, exit_signal, cpu_us, wall_us, memory_kib,
           output_sha256, points
    from case_results
    where generation = $1 and submission_id = any($2)
    order by submission_id, case_number";

const UNACCEPTED: &str = "
    select submission_id, violations
    from unaccepted_submissions
    where generation = $1 and submission_id = any($2)";

/// Loads the folds of `ids`; of those that have no event yet there is none.
///
/// All of them are looked for, those too whose acceptance is in the batch: two racing requests under one idempotency key
/// can lead to a second acceptance, on another subject, and it must meet the first.
pub(super) async fn states(
    connection: &mut PgConnection,
    generation: i32,
    ids: &[SubmissionId],
) -> Result<States, ProjectionError> {
    if ids.is_empty() {
        return Ok(States::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(SubmissionId::as_uuid).collect();
    let rows: Vec<SubmissionRow> =
        sqlx::query_as(SUBMISSIONS).bind(generation).bind(&ids).fetch_all(&mut *connection).await?;
    let known: Vec<Uuid> = rows.iter().map(|row| row.submission_id).collect();
    let mut attempts = attempts(connection, generation, &known).await?;
    let mut results = case_results(connection, generation, &known).await?;
    let mut states = if known.len() < ids.len() {
        unaccepted(connection, generation, &ids).await?
    } else {
        States::new()
    };
    for row in rows {
        let id = row.submission_id;
        let attempts = attempts.remove(&id).unwrap_or_default();
        let results = results.remove(&id).unwrap_or_default();
        states.insert(SubmissionId::new(id), row.into_fold(attempts, results)?);
    }
    Ok(states)
}

async fn attempts(
    connection: &mut PgConnection,
    generation: i32,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<AttemptRow>>, ProjectionError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<AttemptRow> =
        sqlx::query_as(ATTEMPTS).bind(generation).bind(ids).fetch_all(connection).await?;
    Ok(grouped(rows, |row| row.submission_id))
}

async fn case_results(
    connection: &mut PgConnection,
    generation: i32,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<CaseRow>>, ProjectionError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<CaseRow> =
        sqlx::query_as(CASE_RESULTS).bind(generation).bind(ids).fetch_all(connection).await?;
    Ok(grouped(rows, |row| row.submission_id))
}

async fn unaccepted(
    connection: &mut PgConnection,
    generation: i32,
    ids: &[Uuid],
) -> Result<States, ProjectionError> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as(UNACCEPTED).bind(generation).bind(ids).fetch_all(connection).await?;
    rows.into_iter()
        .map(|(id, violations)| Ok((SubmissionId::new(id), alone(id, violations)?)))
        .collect()
}

fn alone(id: Uuid, violations: i64) -> Result<Fold, Impossible> {
    let violations = u32::try_from(violations).map_err(|out_of_range| Impossible {
        table: "unaccepted_submissions",
        column: "violations".to_owned(),
        key: id.to_string(),
        why: out_of_range.to_string(),
    })?;
    Ok(Fold { submission: None, violations })
}

fn grouped<T>(rows: Vec<T>, key: fn(&T) -> Uuid) -> BTreeMap<Uuid, Vec<T>> {
    let mut groups = BTreeMap::<Uuid, Vec<T>>::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}
