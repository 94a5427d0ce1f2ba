//! The store of `results`, and its generations: begun beside the live one, shown to readers in one
//! step, and deleted when superseded.

use async_trait::async_trait;
use events::LedgerPosition;
use sqlx::{AssertSqlSafe, Connection as _, Postgres, Transaction};
use uuid::Uuid;

use super::attempts::AttemptRow;
use super::case_results::CaseRow;
use super::checkpoint::{NAME, lock_building, position};
use super::submissions::SubmissionRow;
use super::table::TableRow as _;
use super::unaccepted_submissions::UnacceptedRow;
use super::writer::ResultsWriter;
use crate::error::WriteError;
use crate::generation::{Hold, LiveHistory, Position, SwitchOutcome, ViewStore};

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

const SWITCH: &str = "
    update projections set generation = $1 where projection_name = 'results'";

const DELETE_CHECKPOINTS: &str = "
    delete from checkpoints
    where projection_name = 'results'
      and generation < (select generation from projections where projection_name = 'results')";

/// Only the walk along the key knows where the last one has ended. By old statistics the planner may
/// think that little is left, and look for it in the whole table.
const WALK_ALONG_THE_KEY: [&str; 2] =
    ["set local enable_seqscan = off", "set local enable_bitmapscan = off"];

/// A place in the order of keys: what is before it is deleted.
type PlaceReached = (i32, Uuid);

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

    async fn seen(&self) -> Result<Option<LedgerPosition>, WriteError> {
        // Rows and checkpoint are committed together.
        Ok(self.position().await?.last)
    }

    async fn begin_generation(&self) -> Result<Position, WriteError> {
        let generation: i32 = sqlx::query_scalar(BEGIN).fetch_one(&self.pool).await?;
        Ok(Position { generation, last: None })
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

    async fn delete_superseded(
        &self,
        report: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), WriteError> {
        // First, so that a rebuild that was overtaken and does not know it writes no row behind the
        // places that are passed here.
        sqlx::query(DELETE_CHECKPOINTS).execute(&self.pool).await?;
        let mut deleted = 0;
        let tables =
            [CaseRow::TABLE, AttemptRow::TABLE, UnacceptedRow::TABLE, SubmissionRow::TABLE];
        for table in tables {
            let mut reached = (i32::MIN, Uuid::nil());
            loop {
                let keys = self.delete_some(table, reached).await?;
                let Some(last) = keys.iter().max() else { break };
                reached = *last;
                deleted += keys.len() as u64;
                report(deleted);
            }
        }
        Ok(())
    }
}

impl ResultsWriter {
    /// Deletes a bounded number of rows of superseded generations, and returns their keys.
    async fn delete_some(
        &self,
        table: &'static str,
        reached: PlaceReached,
    ) -> Result<Vec<PlaceReached>, WriteError> {
        let mut transaction = self.pool.begin().await?;
        for setting in WALK_ALONG_THE_KEY {
            sqlx::query(setting).execute(&mut *transaction).await?;
        }
        // By the row's physical place, since `delete` has no limit of its own.
        let delete = AssertSqlSafe(format!(
            "delete from {table} where ctid = any (array({})) returning generation, submission_id",
            superseded_sql(table)
        ));
        let keys = sqlx::query_as(delete)
            .bind(reached.0)
            .bind(reached.1)
            .bind(DELETED_ROWS_MAX)
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(keys)
    }
}

/// Spells the statement for the physical places of some rows of superseded generations: those from a
/// key on.
///
/// Entries of deleted rows stay in the index until they are vacuumed. A search from the beginning
/// would pass all of them each time, and deleting a generation would take the square of its size.
pub fn superseded_sql(table: &str) -> String {
    format!(
        "select ctid from {table}
        where (generation, submission_id) >= ($1, $2)
          and generation < (select generation from projections where projection_name = 'results')
        order by generation, submission_id
        limit $3"
    )
}

#[async_trait]
impl Hold for ResultsHold {
    fn live(&self) -> Position {
        self.live
    }

    fn seen(&self) -> Option<LedgerPosition> {
        self.live.last
    }

    async fn switch(
        mut self: Box<Self>,
        rebuilt: Position,
        live: LiveHistory,
    ) -> Result<SwitchOutcome, WriteError> {
        if self.live.generation >= rebuilt.generation {
            return Ok(SwitchOutcome::Overtaken);
        }
        let stands = lock_building(&mut self.transaction, rebuilt.generation).await?;
        // Another rebuild has switched and deleted what this one wrote.
        let Some(stands) = stands else { return Ok(SwitchOutcome::Overtaken) };
        if live == LiveHistory::Same && stands.sequence() < self.live.sequence() {
            return Ok(SwitchOutcome::Behind);
        }
        // No guard here: the row of `projections` has been locked since the hold began.
        sqlx::query(SWITCH).bind(rebuilt.generation).execute(&mut *self.transaction).await?;
        self.transaction.commit().await?;
        Ok(SwitchOutcome::Done)
    }
}
