//! What a batch changes in the tables, written with one statement for each.

use events::SubmissionId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::attempts::AttemptRow;
use super::case_results::CaseRow;
use super::submissions::SubmissionRow;
use super::table::upsert;
use super::unaccepted_submissions::UnacceptedRow;
use crate::error::WriteError;

/// What has to be written so that the rows of one state become the rows of the next.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Rows to be inserted or replaced.
    pub submissions: Vec<SubmissionRow>,
    /// Rows to be inserted or replaced.
    pub attempts: Vec<AttemptRow>,
    /// Rows to be inserted or replaced.
    pub case_results: Vec<CaseRow>,
    /// Rows of `case_results` to be deleted: from this case number on.
    pub dropped_results: Vec<(SubmissionId, usize)>,
    /// Rows to be inserted or replaced.
    pub unaccepted: Vec<UnacceptedRow>,
    /// Rows of `unaccepted_submissions` to be deleted.
    pub accepted_late: Vec<SubmissionId>,
}

const DROP_RESULTS: &str = "
    delete from case_results
    using unnest($2::uuid[], $3::bigint[]) as dropped (submission_id, first)
    where generation = $1 and case_results.submission_id = dropped.submission_id and case_number >= dropped.first";

const ACCEPTED_LATE: &str = "
    delete from unaccepted_submissions where generation = $1 and submission_id = any($2)";

impl RowChanges {
    /// Writes every change into one generation.
    pub(crate) async fn write(
        self,
        connection: &mut PgConnection,
        generation: i32,
    ) -> Result<(), WriteError> {
        upsert(connection, generation, self.submissions).await?;
        upsert(connection, generation, self.attempts).await?;
        // Before the new results: a new attempt begins again with the first case.
        drop_results(connection, generation, self.dropped_results).await?;
        upsert(connection, generation, self.case_results).await?;
        upsert(connection, generation, self.unaccepted).await?;
        drop_unaccepted(connection, generation, self.accepted_late).await
    }
}

async fn drop_results(
    connection: &mut PgConnection,
    generation: i32,
    dropped: Vec<(SubmissionId, usize)>,
) -> Result<(), WriteError> {
    if dropped.is_empty() {
        return Ok(());
    }
    let first = |first| i64::try_from(first).expect("a vector is shorter than 2^63");
    let (ids, firsts): (Vec<Uuid>, Vec<i64>) =
        dropped.into_iter().map(|(id, number)| (id.as_uuid(), first(number))).unzip();
    let delete = sqlx::query(DROP_RESULTS).bind(generation).bind(ids).bind(firsts);
    delete.execute(connection).await?;
    Ok(())
}

async fn drop_unaccepted(
    connection: &mut PgConnection,
    generation: i32,
    accepted: Vec<SubmissionId>,
) -> Result<(), WriteError> {
    if accepted.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = accepted.iter().map(SubmissionId::as_uuid).collect();
    sqlx::query(ACCEPTED_LATE).bind(generation).bind(ids).execute(connection).await?;
    Ok(())
}
