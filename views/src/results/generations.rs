//! The store of `results`, and its generations: begun beside the live one, shown to readers in one
//! step, and deleted when superseded.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, Postgres, Transaction};

use super::attempts::AttemptRow;
use super::case_results::CaseRow;
use super::checkpoint::{NAME, position, sequence_of};
use super::submissions::SubmissionRow;
use super::table::TableRow as _;
use super::unaccepted_submissions::UnacceptedRow;
use super::writer::ResultsWriter;
use crate::error::WriteError;
use crate::generation::{Hold, Position, SwitchOutcome, ViewStore};

/// How many rows of one table are deleted in one transaction.
const DELETED_ROWS_MAX: i64 = 5_000;

/// One more than any generation before, finished or not, so that an abandoned rebuild is never
/// mixed into another.
const BEGIN: &str = "
    insert into checkpoints (projection_name, generation, sequence)
    select 'results', max(generation) + 1, 0 from checkpoints where projection_name = 'results'
    returning generation";

/// A rebuild that dies while it holds the live generation must not stop it for long.
const HOLD_TIME_MAX: &str = "set local idle_in_transaction_session_timeout = '10s'";

const LOCK: &str = "
    select generation from projections where projection_name = 'results' for update";

const REBUILT: &str = "
    select sequence from checkpoints where projection_name = 'results' and generation = $1 for update";

const SWITCH: &str = "
    update projections set generation = $1 where projection_name = 'results'";

const DELETE_CHECKPOINTS: &str = "
    delete from checkpoints
    where projection_name = 'results'
      and generation < (select generation from projections where projection_name = 'results')";

/// The row of `projections`, locked: no batch of the live generation can be committed meanwhile.
struct ResultsHold {
    transaction: Transaction<'static, Postgres>,
    live: Position,
}

#[async_trait]
impl ViewStore for ResultsWriter {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn ping(&self) -> Result<(), WriteError> {
        Ok(self.pool.acquire().await?.ping().await?)
    }

    async fn position(&self) -> Result<Position, WriteError> {
        position(&mut *self.pool.acquire().await?).await
    }

    async fn begin_generation(&self) -> Result<Position, WriteError> {
        let generation: i32 = sqlx::query_scalar(BEGIN).fetch_one(&self.pool).await?;
        Ok(Position { generation, sequence: 0 })
    }

    async fn hold(&self) -> Result<Box<dyn Hold>, WriteError> {
        let mut transaction = self.pool.begin().await?;
        // First of all, since the lock must not outlive a rebuild that dies right after it has
        // taken it.
        sqlx::query(HOLD_TIME_MAX).execute(&mut *transaction).await?;
        sqlx::query(LOCK).execute(&mut *transaction).await?;
        let live = position(&mut transaction).await?;
        Ok(Box::new(ResultsHold { transaction, live }))
    }

    async fn delete_superseded(&self) -> Result<u64, WriteError> {
        let mut deleted = 0;
        let tables =
            [CaseRow::TABLE, AttemptRow::TABLE, UnacceptedRow::TABLE, SubmissionRow::TABLE];
        for table in tables {
            // By the row's physical place, since `delete` has no limit of its own.
            let delete = AssertSqlSafe(format!(
                "delete from {table} where ctid = any (array(
                    select ctid from {table}
                    where generation
                        < (select generation from projections where projection_name = 'results')
                    limit $1))"
            ));
            let done = sqlx::query(delete).bind(DELETED_ROWS_MAX).execute(&self.pool).await?;
            deleted += done.rows_affected();
        }
        // The checkpoint goes last, when no row of its generation is left.
        if deleted == 0 {
            sqlx::query(DELETE_CHECKPOINTS).execute(&self.pool).await?;
        }
        Ok(deleted)
    }
}

#[async_trait]
impl Hold for ResultsHold {
    fn live(&self) -> Position {
        self.live
    }

    async fn switch(mut self: Box<Self>, rebuilt: Position) -> Result<SwitchOutcome, WriteError> {
        if self.live.generation >= rebuilt.generation {
            return Ok(SwitchOutcome::Overtaken);
        }
        let stands: Option<i64> = sqlx::query_scalar(REBUILT)
            .bind(rebuilt.generation)
            .fetch_optional(&mut *self.transaction)
            .await?;
        // Another rebuild has switched and deleted what this one wrote.
        let Some(stands) = stands else { return Ok(SwitchOutcome::Overtaken) };
        if sequence_of(rebuilt.generation, stands)? < self.live.sequence {
            return Ok(SwitchOutcome::Behind);
        }
        // No guard here: the row of `projections` has been locked since the hold began.
        sqlx::query(SWITCH).bind(rebuilt.generation).execute(&mut *self.transaction).await?;
        self.transaction.commit().await?;
        Ok(SwitchOutcome::Done)
    }
}
