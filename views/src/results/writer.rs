//! The writer's side of `results`: one transaction for each batch, which holds the rows and the
//! checkpoint.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::time::Duration;

use events::{Fold, SubmissionId};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::attempts::AttemptRow;
use super::case_results::CaseRow;
use super::changes::RowChanges;
use super::checkpoint;
use super::quarantine::{self, QuarantinedMessage};
use super::submissions::SubmissionRow;
use super::table::select;
use super::unaccepted_submissions::UnacceptedRow;
use crate::error::{OpenError, WriteError};
use crate::generation::{Audience, Position};

/// One writer folds one batch at a time; what is left is for pings, a rebuild and the deletion of
/// old rows. More connections only compete for the processors that PostgreSQL and the projector
/// share.
const CONNECTIONS_MAX: u32 = 4;
/// How long to wait for a connection.
const ACQUIRE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long one statement may take, in the server's words. Deleting an old generation takes the
/// longest.
const STATEMENT_TIME_MAX: (&str, &str) = ("statement_timeout", "60s");
/// A migration may take as long as it takes.
const NO_STATEMENT_TIME_MAX: (&str, &str) = ("statement_timeout", "0");

/// Writes `results`.
#[derive(Clone, Debug)]
pub struct ResultsWriter {
    pub(super) pool: PgPool,
}

/// A batch that is being written. No other process moves its generation until the batch is
/// committed or dropped.
#[derive(Debug)]
pub struct ResultsBatch {
    transaction: Transaction<'static, Postgres>,
    generation: i32,
}

impl ResultsWriter {
    /// Makes a writer that connects when it is first used, so that a service starts while its
    /// database is away.
    pub fn connect_lazy(url: &str) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("projector")
            .options([STATEMENT_TIME_MAX]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIME_MAX)
            // A round trip for each batch; one that meets a dead connection is folded again anyway.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Brings the schema up to date. Does nothing where it is.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        let options = self.pool.connect_options().as_ref().clone().options([NO_STATEMENT_TIME_MAX]);
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::migrate!("../migrations").run(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Counts the messages of the ledger that are no event.
    pub async fn count_quarantined(&self) -> Result<u64, WriteError> {
        quarantine::count(&self.pool).await
    }

    /// Begins a batch, if the generation still stands at `at`.
    pub async fn begin(
        &self,
        audience: Audience,
        at: Position,
    ) -> Result<ResultsBatch, WriteError> {
        let mut transaction = self.pool.begin().await?;
        // Before anything is read: under the lock no other process can change the rows of the
        // generation.
        checkpoint::lock(&mut transaction, audience, at).await?;
        Ok(ResultsBatch { transaction, generation: at.generation })
    }
}

impl ResultsBatch {
    /// Loads the folds of `ids`. A submission without events has none.
    pub async fn load(
        &mut self,
        ids: &[SubmissionId],
    ) -> Result<BTreeMap<SubmissionId, Fold>, WriteError> {
        let mut folds = BTreeMap::new();
        // Submissions whose acceptance is in the batch are looked for, too: two racing requests
        // under one idempotency key can lead to a second acceptance, on another subject, and it
        // must meet the first.
        let ids: Vec<Uuid> = ids.iter().map(SubmissionId::as_uuid).collect();
        let (connection, generation) = (&mut *self.transaction, self.generation);
        let rows: Vec<SubmissionRow> = select(connection, generation, &ids).await?;
        let known: Vec<Uuid> = rows.iter().map(|row| row.submission_id).collect();
        // Attempts and results are written beside a submission's row only, so the others need not
        // be looked for.
        let attempts = select(connection, generation, &known).await?;
        let mut attempts = grouped(attempts, |row: &AttemptRow| row.submission_id);
        let results = select(connection, generation, &known).await?;
        let mut results = grouped(results, |row: &CaseRow| row.submission_id);
        // Usually all are known, which saves a round trip.
        if known.len() < ids.len() {
            for row in select::<UnacceptedRow>(connection, generation, &ids).await? {
                folds.insert(SubmissionId::new(row.submission_id), row.try_into()?);
            }
        }
        for row in rows {
            let id = row.submission_id;
            let attempts = attempts.remove(&id).unwrap_or_default();
            let results = results.remove(&id).unwrap_or_default();
            folds.insert(SubmissionId::new(id), row.into_fold(attempts, results)?);
        }
        Ok(folds)
    }

    /// Writes what the batch changes.
    pub async fn write(&mut self, changes: RowChanges) -> Result<(), WriteError> {
        changes.write(&mut self.transaction, self.generation).await
    }

    /// Records what the batch passes by.
    pub async fn quarantine(
        &mut self,
        messages: Vec<QuarantinedMessage>,
    ) -> Result<(), WriteError> {
        quarantine::write(&mut self.transaction, messages).await
    }

    /// Moves the checkpoint to `next`, and makes it durable together with the rows.
    pub async fn commit(mut self, next: Position) -> Result<(), WriteError> {
        checkpoint::advance(&mut self.transaction, next).await?;
        Ok(self.transaction.commit().await?)
    }
}

fn grouped<T>(rows: Vec<T>, key: fn(&T) -> Uuid) -> BTreeMap<Uuid, Vec<T>> {
    let mut groups = BTreeMap::<Uuid, Vec<T>>::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}
