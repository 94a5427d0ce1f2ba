//! What can go wrong between a projection and its store, and whether waiting helps.

/// A stored value that no fold can have written.
#[derive(Debug, thiserror::Error)]
#[error("{table} {key} has an impossible {column}: {why}")]
pub struct Impossible {
    /// The table or collection.
    pub table: &'static str,
    /// The column, or the path in the document.
    pub column: String,
    /// The row's or document's key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// A folded value that the store cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("{table} {key} cannot hold {column} {value}")]
pub struct TooLarge {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's key.
    pub key: String,
    /// The value.
    pub value: u64,
}

/// Why a projection did not move.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// Another process moved the position, or a rebuild the generation: read the position again.
    #[error("the projection does not stand where it was left")]
    Moved,
    /// The batch does not follow what was folded last.
    #[error("event {first} does not follow event {stands}")]
    Hole {
        /// The last event folded.
        stands: u64,
        /// The first event of the batch.
        first: u64,
    },
    /// A rebuild is about to switch: try again in a moment.
    #[error("a rebuild holds the projection")]
    Held,
    /// The store has no place for the projection.
    #[error("the store knows no projection {0}: run `projector migrate`")]
    Missing(&'static str),
    /// The store holds what no fold can have written.
    #[error("the store is not a fold of the ledger; `projector rebuild` makes a new one")]
    Impossible(#[from] Impossible),
    /// The store cannot hold what was folded.
    #[error("the store cannot hold the fold")]
    TooLarge(#[from] TooLarge),
    /// A value has no form in the store's encoding.
    #[error("a value cannot be encoded for the store")]
    Encoding(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// PostgreSQL refused or did not answer.
    #[error("postgres failed")]
    Postgres(#[from] sqlx::Error),
    /// MongoDB did not answer.
    #[error("mongodb failed")]
    Mongo(#[from] mongodb::error::Error),
    /// MongoDB refused writes.
    #[error("mongodb refused a write with code {code}: {message}")]
    Refused {
        /// The server's code.
        code: i32,
        /// The server's words.
        message: String,
    },
}
