//! The checkpoint of each generation: read, locked for one batch, and moved with the rows that it
//! counts.

use events::{LedgerId, LedgerPosition};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::column_values::RowPlace;
use crate::error::{Impossible, WriteError};
use crate::generation::{Audience, Position};

/// The name of the view in its own tables. The statements below spell it out.
pub(super) const NAME: &str = "results";
/// The server's code of a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

const READERS_POSITION: &str = "select sequence, ledger_id, digest from results_position";

const POSITION: &str = "
    select checkpoints.*
    from projections
    join checkpoints using (projection_name, generation)
    where projection_name = 'results'";

/// Waits for a switch that is under way; once it is done there is no row for the old generation.
const LOCK_LIVE: &str = "
    select checkpoints.*
    from projections
    join checkpoints using (projection_name, generation)
    where projection_name = 'results' and projections.generation = $1 and checkpoints.generation = $1
    for share of projections for update of checkpoints";

// Without `projections`: no reader sees the generation, so a switch does not concern its batch.
const LOCK_BUILDING: &str = "
    select * from checkpoints where projection_name = 'results' and generation = $1 for update";

const MOVE: &str = "
    update checkpoints set sequence = $2, ledger_id = $3, digest = $4
    where projection_name = 'results' and generation = $1";

/// A row of `checkpoints`.
#[derive(Debug, FromRow)]
struct CheckpointRow {
    generation: i32,
    sequence: i64,
    ledger_id: Option<Uuid>,
    digest: Option<String>,
}

impl TryFrom<CheckpointRow> for Position {
    type Error = Impossible;

    fn try_from(row: CheckpointRow) -> Result<Self, Impossible> {
        let CheckpointRow { generation, sequence, ledger_id, digest } = row;
        let last = last_entry(&place(generation), sequence, ledger_id, digest)?;
        Ok(Self { generation, last })
    }
}

/// The row of `results_position`.
#[derive(Debug, FromRow)]
struct PositionRow {
    sequence: i64,
    ledger_id: Option<Uuid>,
    digest: Option<String>,
}

fn last_entry(
    place: &RowPlace<String>,
    sequence: i64,
    ledger_id: Option<Uuid>,
    digest: Option<String>,
) -> Result<Option<LedgerPosition>, Impossible> {
    // A check of the table holds both null or none.
    let Some((ledger, digest)) = ledger_id.zip(digest) else { return Ok(None) };
    Ok(Some(LedgerPosition {
        ledger: LedgerId::new(ledger),
        sequence: place.number("sequence", sequence)?,
        digest: place.digest("digest", &digest)?,
    }))
}

/// Reads where the generation stands that readers see.
pub(super) async fn readers_position(
    pool: &PgPool,
) -> Result<Result<Option<LedgerPosition>, Impossible>, sqlx::Error> {
    let row: PositionRow = sqlx::query_as(READERS_POSITION).fetch_one(pool).await?;
    let place = RowPlace { table: "results_position", key: NAME.to_owned() };
    Ok(last_entry(&place, row.sequence, row.ledger_id, row.digest))
}

/// Reads where the live generation stands.
pub(super) async fn position(connection: &mut PgConnection) -> Result<Position, WriteError> {
    let row: Result<Option<CheckpointRow>, sqlx::Error> =
        sqlx::query_as(POSITION).fetch_optional(connection).await;
    let found = row.map_err(|error| {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // The error for a database before its first migration says what to run.
        if code.as_deref() == Some(UNDEFINED_TABLE) {
            WriteError::Missing(NAME)
        } else {
            error.into()
        }
    })?;
    Ok(found.ok_or(WriteError::Missing(NAME))?.try_into()?)
}

/// Takes the checkpoint of a generation that no reader sees; none if it was deleted.
pub(super) async fn lock_building(
    connection: &mut PgConnection,
    generation: i32,
) -> Result<Option<Position>, WriteError> {
    locked(connection, LOCK_BUILDING, generation).await
}

async fn locked(
    connection: &mut PgConnection,
    statement: &'static str,
    generation: i32,
) -> Result<Option<Position>, WriteError> {
    let row: Option<CheckpointRow> =
        sqlx::query_as(statement).bind(generation).fetch_optional(connection).await?;
    Ok(row.map(Position::try_from).transpose()?)
}

/// Takes the position for this transaction alone, if it is still where it was left.
pub(super) async fn lock(
    connection: &mut PgConnection,
    audience: Audience,
    at: Position,
) -> Result<(), WriteError> {
    let statement = match audience {
        Audience::Readers => LOCK_LIVE,
        Audience::Rebuild => LOCK_BUILDING,
    };
    // The ledger and the digest, too: another ledger has the same sequences.
    let stands = locked(connection, statement, at.generation).await?;
    if stands == Some(at) { Ok(()) } else { Err(WriteError::Moved) }
}

/// Moves the checkpoint, in the transaction that writes the rows.
pub(super) async fn advance(connection: &mut PgConnection, to: Position) -> Result<(), WriteError> {
    let sequence = place(to.generation).fits("sequence", to.sequence())?;
    // No guard on the old position: `lock` has compared it, and the lock lasts until the commit.
    sqlx::query(MOVE)
        .bind(to.generation)
        .bind(sequence)
        .bind(to.last.map(|last| last.ledger.as_uuid()))
        .bind(to.last.map(|last| last.digest.to_string()))
        .execute(connection)
        .await?;
    Ok(())
}

fn place(generation: i32) -> RowPlace<String> {
    RowPlace { table: "checkpoints", key: format!("{NAME}/{generation}") }
}
