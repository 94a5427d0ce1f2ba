//! The checkpoint of each generation: read, locked for one batch, and moved with the rows that it
//! counts.

use sqlx::PgConnection;

use super::column_values::RowPlace;
use crate::error::WriteError;
use crate::generation::{Audience, Position};

/// The name of the view in its own tables. The statements below spell it out.
pub(super) const NAME: &str = "results";
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

// Without `projections`: no reader sees the generation, so a switch does not concern its batch.
const LOCK_BUILDING: &str = "
    select sequence from checkpoints where projection_name = 'results' and generation = $1 for update";

const MOVE: &str = "
    update checkpoints set sequence = $2 where projection_name = 'results' and generation = $1";

/// Reads where the live generation stands.
pub(super) async fn position(connection: &mut PgConnection) -> Result<Position, WriteError> {
    let row: Result<Option<(i32, i64)>, sqlx::Error> =
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
    let (generation, sequence) = found.ok_or(WriteError::Missing(NAME))?;
    Ok(Position { generation, sequence: sequence_of(generation, sequence)? })
}

/// Reads a checkpoint's sequence.
pub(super) fn sequence_of(generation: i32, sequence: i64) -> Result<u64, WriteError> {
    Ok(place(generation).number("sequence", sequence)?)
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
    let stands: Option<i64> =
        sqlx::query_scalar(statement).bind(at.generation).fetch_optional(connection).await?;
    let stands = stands.map(|sequence| sequence_of(at.generation, sequence)).transpose()?;
    if stands == Some(at.sequence) { Ok(()) } else { Err(WriteError::Moved) }
}

/// Moves the checkpoint, in the transaction that writes the rows.
pub(super) async fn advance(connection: &mut PgConnection, to: Position) -> Result<(), WriteError> {
    let sequence = place(to.generation).fits("sequence", to.sequence)?;
    // No guard on the old sequence: `lock` has compared it, and the lock lasts until the commit.
    sqlx::query(MOVE).bind(to.generation).bind(sequence).execute(connection).await?;
    Ok(())
}

fn place(generation: i32) -> RowPlace<String> {
    RowPlace { table: "checkpoints", key: format!("{NAME}/{generation}") }
}
