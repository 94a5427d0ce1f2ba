//! The store of `results`: one transaction for each batch, which holds the rows and the checkpoint.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::SubmissionId;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use super::changes::{Changes, fold};
use super::memory::Memory;
use super::{generations, read, write};
use crate::batch::Batch;
use crate::error::ProjectionError;
use crate::projection::{Hold, Position, Projection};

/// The name of the projection in the store's own tables. The statements below spell it out.
const NAME: &str = "results";
/// More connections only hurt on the machines that this runs on (reference/store-limits.md §7).
const CONNECTIONS_MAX: u32 = 4;
/// How long to wait for a connection.
const ACQUIRE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long one statement may take, in the server's words. Deleting an old generation takes the longest.
const STATEMENT_TIME_MAX: (&str, &str) = ("statement_timeout", "60s");
/// A migration may take as long as it takes.
const NO_STATEMENT_TIME_MAX: (&str, &str) = ("statement_timeout", "0");
/// The server's code of a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

const POSITION: &str = "
    select generation, sequence
    from projections
    join checkpoints using (projection_name, generation)
    where projection_name = 'results'";

/// Waits for a switch that is under way; once it is done there is no row for the old generation.
const LOCK_LIVE: &str = "
    select checkpoints.sequence
    from projections
    join checkpoints using (projection_name, generation)
    where projection_name = 'results' and projections.generation = $1 and checkpoints.generation = $1
    for share of projections for update of checkpoints";

const LOCK_BUILDING: &str = "
    select sequence from checkpoints where projection_name = 'results' and generation = $1 for update";

const MOVE: &str = "
    update checkpoints set sequence = $2 where projection_name = 'results' and generation = $1";

/// The projection `results` on PostgreSQL.
#[derive(Clone, Debug)]
pub struct ResultsStore {
    pool: PgPool,
    memory: Arc<Memory>,
}

/// Who reads the generation that a batch is folded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Readers,
    Nobody,
}

impl ResultsStore {
    /// Makes a store that connects when it is first used, so that a service starts while its database is away.
    pub fn connect_lazy(url: &str) -> Result<Self, ProjectionError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("projector")
            .options([STATEMENT_TIME_MAX]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIME_MAX)
            // A round trip for each batch; one that meets a dead connection is folded again anyway.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool, memory: Arc::default() })
    }

    /// Brings the schema up to date. Does nothing where it is.
    pub async fn migrate(&self) -> Result<(), sqlx::migrate::MigrateError> {
        let options = self.pool.connect_options().as_ref().clone().options([NO_STATEMENT_TIME_MAX]);
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::migrate!("../migrations").run(&mut connection).await?;
        Ok(connection.close().await?)
    }

    async fn fold_for(
        &self,
        audience: Audience,
        at: Position,
        batch: &Batch,
    ) -> Result<Position, ProjectionError> {
        let next = at.after(batch)?;
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction, audience, at).await?;
        // Valid under the lock only, which has just told that nobody has moved the position.
        let mut known = self.memory.take(at);
        let unknown = batch.submissions().into_iter().filter(|id| !known.contains_key(id));
        let unknown: Vec<SubmissionId> = unknown.collect();
        known.extend(read::states(&mut transaction, at.generation, &unknown).await?);
        let after = fold(&known, batch);
        write::all(&mut transaction, at.generation, &Changes::between(&known, &after)).await?;
        advance(&mut transaction, next).await?;
        transaction.commit().await?;
        known.extend(after);
        self.memory.keep(next, known);
        Ok(next)
    }
}

#[async_trait]
impl Projection for ResultsStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn ping(&self) -> Result<(), ProjectionError> {
        Ok(self.pool.acquire().await?.ping().await?)
    }

    async fn position(&self) -> Result<Position, ProjectionError> {
        position(&mut *self.pool.acquire().await?).await
    }

    async fn fold(&self, at: Position, batch: &Batch) -> Result<Position, ProjectionError> {
        self.fold_for(Audience::Readers, at, batch).await
    }

    async fn begin_generation(&self) -> Result<Position, ProjectionError> {
        generations::begin(&self.pool).await
    }

    async fn build(&self, at: Position, batch: &Batch) -> Result<Position, ProjectionError> {
        self.fold_for(Audience::Nobody, at, batch).await
    }

    async fn hold(&self) -> Result<Box<dyn Hold>, ProjectionError> {
        generations::hold(&self.pool).await
    }

    async fn delete_superseded(&self) -> Result<u64, ProjectionError> {
        generations::delete_superseded(&self.pool).await
    }
}

/// Reads where the live generation stands.
pub(super) async fn position(connection: &mut PgConnection) -> Result<Position, ProjectionError> {
    let row: Result<Option<(i32, i64)>, sqlx::Error> =
        sqlx::query_as(POSITION).fetch_optional(connection).await;
    let found = row.map_err(|error| {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.as_deref() == Some(UNDEFINED_TABLE) {
            ProjectionError::Missing(NAME)
        } else {
            error.into()
        }
    })?;
    let (generation, sequence) = found.ok_or(ProjectionError::Missing(NAME))?;
    Ok(Position { generation, sequence: sequence_of(generation, sequence)? })
}

/// Reads a checkpoint's sequence.
pub(super) fn sequence_of(generation: i32, sequence: i64) -> Result<u64, ProjectionError> {
    u64::try_from(sequence).map_err(|out_of_range| {
        ProjectionError::Impossible(crate::error::Impossible {
            table: "checkpoints",
            column: "sequence".to_owned(),
            key: format!("{NAME}/{generation}"),
            why: out_of_range.to_string(),
        })
    })
}

/// Takes the position for this transaction alone, if it is still where it was left.
async fn lock(
    connection: &mut PgConnection,
    audience: Audience,
    at: Position,
) -> Result<(), ProjectionError> {
    let statement = match audience {
        Audience::Readers => LOCK_LIVE,
        Audience::Nobody => LOCK_BUILDING,
    };
    let stands: Option<i64> =
        sqlx::query_scalar(statement).bind(at.generation).fetch_optional(connection).await?;
    let stands = stands.map(|sequence| sequence_of(at.generation, sequence)).transpose()?;
    if stands == Some(at.sequence) { Ok(()) } else { Err(ProjectionError::Moved) }
}

async fn advance(connection: &mut PgConnection, to: Position) -> Result<(), ProjectionError> {
    let sequence = i64::try_from(to.sequence).map_err(|_too_large| crate::error::TooLarge {
        table: "checkpoints",
        column: "sequence",
        key: NAME.to_owned(),
        value: to.sequence,
    })?;
    sqlx::query(MOVE).bind(to.generation).bind(sequence).execute(connection).await?;
    Ok(())
}
