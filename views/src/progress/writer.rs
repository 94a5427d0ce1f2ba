//! The writer's side of `progress`: guarded documents, and the pointer that is moved before and
//! after them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::doc;
use mongodb::options::{ClientOptions, IndexOptions};
use mongodb::{Client, Database, IndexModel};
use serde::Serialize;
use tokio::time::Instant;

use super::collection::{self, GuardedDocument, Written};
use super::generations;
use super::pointer::{GenerationPointer, NAME, Pointers};
use super::solved::SolvedSuite;
use crate::error::{OpenError, WriteError};
use crate::generation::{Hold, Position, ViewStore};

/// How long to look for a server that answers.
const SELECTION_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// More connections do not help one writer.
const CONNECTIONS_MAX: u32 = 8;
/// How long a rebuild may hold the live generation. One that died must not stop it for long.
const HOLD_TIME_MAX: Duration = Duration::from_secs(5);

/// Writes `progress`.
#[derive(Clone, Debug)]
pub struct ProgressWriter {
    database: Database,
    pointers: Pointers,
    hold_time_max: Duration,
    /// The hold that was met last, and when it was met first.
    met: Arc<Mutex<Option<(String, Instant)>>>,
}

impl ProgressWriter {
    /// Makes a writer that connects when it is first used, so that a service starts while its
    /// database is away.
    pub async fn connect_lazy(url: &str, database: &str) -> Result<Self, OpenError> {
        let mut options = ClientOptions::parse(url).await?;
        options.app_name = Some("projector".to_owned());
        options.server_selection_timeout = Some(SELECTION_TIME_MAX);
        options.connect_timeout = Some(CONNECT_TIME_MAX);
        options.max_pool_size = Some(CONNECTIONS_MAX);
        let database = Client::with_options(options)?.database(database);
        Ok(Self {
            pointers: Pointers::in_database(&database),
            database,
            hold_time_max: HOLD_TIME_MAX,
            met: Arc::default(),
        })
    }

    /// Sets how long a rebuild may hold the live generation.
    #[must_use]
    pub fn with_hold_time_max(self, hold_time_max: Duration) -> Self {
        Self { hold_time_max, ..self }
    }

    /// Makes the pointer and the indexes. Does nothing where they are.
    pub async fn migrate(&self) -> Result<(), WriteError> {
        self.pointers.create().await?;
        let newest_first = doc! {"_id.generation": 1, "_id.principal": 1, "first_seq": -1};
        let options = IndexOptions::builder().name("generation_principal_first_seq".to_owned());
        let index = IndexModel::builder().keys(newest_first).options(options.build()).build();
        self.database
            .collection::<SolvedSuite>(SolvedSuite::COLLECTION)
            .create_index(index)
            .await?;
        Ok(())
    }

    /// Loads the documents with these keys; those that do not exist are absent.
    pub async fn load<T: GuardedDocument>(
        &self,
        keys: impl IntoIterator<Item = impl Serialize>,
    ) -> Result<Vec<T>, WriteError> {
        collection::load(&self.database, keys).await
    }

    /// Writes the documents that were folded further since they were `loaded`, each only if it is
    /// still as it was loaded.
    pub async fn replace<K: Ord, T: GuardedDocument>(
        &self,
        loaded: &BTreeMap<K, u64>,
        documents: &BTreeMap<K, T>,
    ) -> Result<Written, WriteError> {
        collection::replace(&self.database, loaded, documents).await
    }

    /// Announces that documents of the live generation may hold events up to `to`, before any of
    /// them does.
    pub async fn reserve(&self, at: Position, to: u64) -> Result<(), WriteError> {
        if self.pointers.reserve(at, to).await? { Ok(()) } else { Err(self.refusal(at).await?) }
    }

    /// Moves the checkpoint, after the documents.
    pub async fn commit(&self, at: Position, to: u64) -> Result<(), WriteError> {
        if self.pointers.commit(at, to).await? { Ok(()) } else { Err(WriteError::Moved) }
    }

    /// Says why a reservation was refused, and lifts a hold whose rebuild must have died.
    async fn refusal(&self, at: Position) -> Result<WriteError, WriteError> {
        let pointer = self.pointers.get().await?;
        let stands = pointer.position();
        let GenerationPointer { hold: Some(token), .. } = pointer else {
            return Ok(WriteError::Moved);
        };
        if stands != at {
            return Ok(WriteError::Moved);
        }
        // By our own clock, from when this process met the hold: clocks of two machines may differ
        // by more.
        if self.held_since(&token).elapsed() > self.hold_time_max {
            self.pointers.release(&token).await?;
        }
        Ok(WriteError::Held)
    }

    fn held_since(&self, token: &str) -> Instant {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        match &*met {
            Some((known, since)) if known == token => *since,
            // Another token is another hold, which has its whole time before it.
            Some(_) | None => met.insert((token.to_owned(), Instant::now())).1,
        }
    }
}

#[async_trait]
impl ViewStore for ProgressWriter {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn ping(&self) -> Result<(), WriteError> {
        self.database.run_command(doc! {"ping": 1}).await?;
        Ok(())
    }

    async fn position(&self) -> Result<Position, WriteError> {
        match self.pointers.get().await {
            // There is no schema to keep in step with, so an empty database is prepared by its
            // first use.
            Err(WriteError::Missing(_)) => {
                self.migrate().await?;
                Ok(self.pointers.get().await?.position())
            }
            found => Ok(found?.position()),
        }
    }

    async fn begin_generation(&self) -> Result<Position, WriteError> {
        Ok(Position { generation: self.pointers.begin().await?, sequence: 0 })
    }

    async fn hold(&self) -> Result<Box<dyn Hold>, WriteError> {
        generations::hold(&self.pointers).await
    }

    async fn delete_superseded(&self) -> Result<u64, WriteError> {
        let live = self.pointers.get().await?.generation;
        generations::delete_superseded(&self.database, live).await
    }
}
