//! What can go wrong between a view and its store.

use std::error::Error;

/// A stored value that no fold can have written.
#[derive(Debug, thiserror::Error)]
#[error("impossible value in {table}.{column} of {key}")]
pub struct Impossible {
    /// The table or collection.
    pub table: &'static str,
    /// The column, or the path in the document.
    pub column: String,
    /// The row's or document's key.
    pub key: String,
    /// What is wrong with the value.
    pub source: Box<dyn Error + Send + Sync>,
}

/// A folded value that the store cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("{table}.{column} of {key} cannot hold {value}")]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct TooLarge {
    pub table: &'static str,
    pub column: &'static str,
    pub key: String,
    pub value: u64,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address of PostgreSQL cannot be used.
    #[error("`postgres.url` cannot be used")]
    Postgres(#[from] sqlx::Error),
    /// The address of MongoDB cannot be used.
    #[error("`mongo.url` cannot be used")]
    Mongo(#[from] mongodb::error::Error),
}

/// Why a view has no answer for its reader.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The store does not answer, or not in time.
    #[error("{detail}")]
    Away {
        /// Which view it is, in a sentence for clients.
        // A fixed text, since clients read it; the source may tell of addresses.
        detail: &'static str,
        /// What the driver says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A row or document is impossible.
    #[error(transparent)]
    Impossible(#[from] Impossible),
}

/// Why a view did not move.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another process moved the position, or a rebuild the generation: read the position again.
    #[error("the view does not stand where it was left")]
    Moved,
    /// The events do not follow what was folded last.
    #[error("event {first} does not follow event {stands}")]
    Hole {
        /// The last event folded.
        stands: u64,
        /// The first event of the batch.
        first: u64,
    },
    /// A rebuild is about to switch: try again in a moment.
    #[error("a rebuild holds the view")]
    Held,
    /// The store has no place for the view.
    #[error("the store does not know the view {0}: run `projector migrate`")]
    Missing(&'static str),
    /// The store holds what no fold can have written.
    #[error("the store is not a fold of the ledger; `projector rebuild` makes a new one")]
    Impossible(#[from] Impossible),
    /// The store cannot hold what was folded.
    #[error("the store cannot hold the fold")]
    TooLarge(#[from] TooLarge),
    /// PostgreSQL refused or did not answer.
    #[error("postgres failed")]
    Postgres(#[from] sqlx::Error),
    /// A value has no form in the store's encoding.
    #[error("a value cannot be encoded for the store")]
    Encoding(#[source] Box<dyn Error + Send + Sync>),
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
