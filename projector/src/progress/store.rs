//! The store of `progress`: guarded documents, and the order in which they are written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use events::{Digest, SubmissionId, UserId};
use mongodb::bson::doc;
use mongodb::options::{ClientOptions, IndexOptions};
use mongodb::{Client, Database, IndexModel};
use tokio::time::Instant;

use super::collection::{Guarded, Replacement, Written, load, write};
use super::fold::{Viewed, Views, derive, view};
use super::generations;
use super::key::{ProgressKey, SolvedKey, TrackedKey};
use super::pointer::{NAME, Pointer, Pointers};
use super::solved::Solved;
use super::tracked::Tracked;
use super::view::Progress;
use crate::batch::Batch;
use crate::last_batch::{LastBatch, keep_latest};
use crate::projection::Projection;
use views::error::{OpenError, WriteError};
use views::generation::{Hold, Position, ViewStore};

/// How long to look for a server that answers.
const SELECTION_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// More connections do not help one writer.
const CONNECTIONS_MAX: u32 = 8;
/// How often a batch is loaded and folded again because another writer was faster.
const CONFLICTS_MAX: u32 = 5;
/// How long a rebuild may hold the live generation. One that died must not stop it for long.
const HOLD_TIME_MAX: Duration = Duration::from_secs(5);

/// How many submissions are kept in memory. A document is half a KiB.
const SUBMISSIONS_MAX: usize = 5_000;
/// How many users are kept in memory. A document is 15 KiB at most.
const USERS_MAX: usize = 500;

/// Documents as they stand at one position.
#[derive(Debug, Default)]
struct Recalled {
    tracked: BTreeMap<SubmissionId, Tracked>,
    progress: BTreeMap<UserId, Progress>,
}

impl Recalled {
    /// Returns the documents that are likely to be needed again.
    fn latest(mut self) -> Self {
        self.tracked.retain(|_, tracked| !tracked.state.is_terminal());
        keep_latest(&mut self.tracked, SUBMISSIONS_MAX, Guarded::last_seq);
        keep_latest(&mut self.progress, USERS_MAX, Guarded::last_seq);
        self
    }
}

/// The projection `progress` on MongoDB.
#[derive(Clone, Debug)]
pub struct ProgressStore {
    pub(super) database: Database,
    pub(super) pointers: Pointers,
    hold_time_max: Duration,
    last_batch: Arc<LastBatch<Recalled>>,
    /// The hold that was met last, and when it was met first.
    met: Arc<Mutex<Option<(String, Instant)>>>,
}

impl ProgressStore {
    /// Makes a store that connects when it is first used, so that a service starts while its database is away.
    pub async fn connect_lazy(url: &str, database: &str) -> Result<Self, OpenError> {
        let mut options = ClientOptions::parse(url).await?;
        options.app_name = Some("projector".to_owned());
        options.server_selection_timeout = Some(SELECTION_TIME_MAX);
        options.connect_timeout = Some(CONNECT_TIME_MAX);
        options.max_pool_size = Some(CONNECTIONS_MAX);
        let database = Client::with_options(options)?.database(database);
        Ok(Self {
            pointers: Pointers::of(&database),
            database,
            hold_time_max: HOLD_TIME_MAX,
            last_batch: Arc::default(),
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
        self.database.collection::<Solved>(Solved::COLLECTION).create_index(index).await?;
        Ok(())
    }

    /// Folds a batch into the documents of one generation. Returns those that it touched.
    async fn write_batch(&self, at: Position, batch: &Batch) -> Result<Recalled, WriteError> {
        let mut recalled = self.last_batch.take(at);
        for _ in 0..CONFLICTS_MAX {
            if let Some(written) = self.try_batch(at.generation, batch, recalled).await? {
                return Ok(written);
            }
            recalled = Recalled::default();
        }
        Err(WriteError::Moved)
    }

    /// Loads, folds and writes once; `None` where another writer was faster. The views go before what their facts were
    /// derived from, so that a crash in between derives the same facts again, which the views that have them skip.
    async fn try_batch(
        &self,
        generation: i32,
        batch: &Batch,
        recalled: Recalled,
    ) -> Result<Option<Recalled>, WriteError> {
        let Recalled { tracked: mut known, progress } = recalled;
        self.load_tracked(generation, batch, &mut known).await?;
        let derived = derive(generation, &known, batch);
        let mut before = Views { progress, ..Views::default() };
        self.load_views(generation, Viewed::of(&derived.facts), &mut before).await?;
        let (progress, solved) = (guards(&before.progress), guards(&before.solved));
        let after = view(generation, before, &derived.facts);
        let (solved, progress) = tokio::try_join!(
            self.replace(&solved, &after.solved),
            self.replace(&progress, &after.progress),
        )?;
        if solved == Written::Conflict || progress == Written::Conflict {
            return Ok(None);
        }
        if self.replace(&guards(&known), &derived.tracked).await? == Written::Conflict {
            return Ok(None);
        }
        known.extend(derived.tracked);
        Ok(Some(Recalled { tracked: known, progress: after.progress }))
    }

    /// Loads what is remembered of a batch's submissions and not `known` yet.
    async fn load_tracked(
        &self,
        generation: i32,
        batch: &Batch,
        known: &mut BTreeMap<SubmissionId, Tracked>,
    ) -> Result<(), WriteError> {
        let unknown = batch.submissions().into_iter().filter(|id| !known.contains_key(id));
        let keys = unknown.map(|submission| TrackedKey { generation, submission });
        let found = load::<Tracked>(&self.database, keys.collect::<Vec<_>>()).await?;
        known.extend(found.into_iter().map(|tracked| (tracked.submission(), tracked)));
        Ok(())
    }

    /// Loads the documents that facts concern and that are not in `views` yet.
    async fn load_views(
        &self,
        generation: i32,
        viewed: Viewed,
        views: &mut Views,
    ) -> Result<(), WriteError> {
        let unknown = viewed.users.into_iter().filter(|user| !views.progress.contains_key(user));
        let users: Vec<ProgressKey> =
            unknown.map(|principal| ProgressKey { generation, principal }).collect();
        let suites = viewed.suites.into_iter().map(|(principal, suite_sha256)| SolvedKey {
            generation,
            principal,
            suite_sha256,
        });
        let (progress, solved) = tokio::try_join!(
            load::<Progress>(&self.database, users),
            load::<Solved>(&self.database, suites),
        )?;
        let by_user = |progress: Progress| (progress.key.principal.clone(), progress);
        let by_suite = |solved: Solved| (suite_of(&solved), solved);
        views.progress.extend(progress.into_iter().map(by_user));
        views.solved.extend(solved.into_iter().map(by_suite));
        Ok(())
    }

    /// Writes the documents that are not as they were loaded.
    async fn replace<K: Ord, T: Guarded>(
        &self,
        loaded: &BTreeMap<K, u64>,
        documents: &BTreeMap<K, T>,
    ) -> Result<Written, WriteError> {
        let changed: Vec<Replacement<'_, T>> = documents
            .iter()
            .map(|(key, document)| Replacement { document, loaded: loaded.get(key).copied() })
            .filter(|replacement| replacement.loaded != Some(replacement.document.last_seq()))
            .collect();
        write(&self.database, &changed).await
    }

    /// Says why a reservation was refused, and lifts a hold whose rebuild must have died.
    async fn refusal(&self, at: Position) -> Result<WriteError, WriteError> {
        let pointer = self.pointers.get().await?;
        let stands = Position { generation: pointer.generation, sequence: pointer.sequence };
        let Pointer { hold: Some(token), .. } = pointer else { return Ok(WriteError::Moved) };
        if stands != at {
            return Ok(WriteError::Moved);
        }
        if self.held_since(&token).elapsed() > self.hold_time_max {
            self.pointers.release(&token).await?;
        }
        Ok(WriteError::Held)
    }

    fn held_since(&self, token: &str) -> Instant {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        match &*met {
            Some((known, since)) if known == token => *since,
            Some(_) | None => met.insert((token.to_owned(), Instant::now())).1,
        }
    }
}

#[async_trait]
impl ViewStore for ProgressStore {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn ping(&self) -> Result<(), WriteError> {
        self.database.run_command(doc! {"ping": 1}).await?;
        Ok(())
    }

    async fn position(&self) -> Result<Position, WriteError> {
        let pointer = match self.pointers.get().await {
            // There is no schema to keep in step with, so an empty database needs nobody to prepare it.
            Err(WriteError::Missing(_)) => {
                self.migrate().await?;
                self.pointers.get().await?
            }
            found => found?,
        };
        Ok(Position { generation: pointer.generation, sequence: pointer.sequence })
    }

    async fn begin_generation(&self) -> Result<Position, WriteError> {
        Ok(Position { generation: self.pointers.begin().await?, sequence: 0 })
    }

    async fn hold(&self) -> Result<Box<dyn Hold>, WriteError> {
        generations::hold(self).await
    }

    async fn delete_superseded(&self) -> Result<u64, WriteError> {
        generations::delete_superseded(self).await
    }
}

#[async_trait]
impl Projection for ProgressStore {
    fn store(&self) -> &dyn ViewStore {
        self
    }

    async fn fold(&self, at: Position, batch: &Batch) -> Result<Position, WriteError> {
        let next = at.after(batch.first(), batch.last())?;
        if !self.pointers.reserve(at, next.sequence).await? {
            return Err(self.refusal(at).await?);
        }
        let written = self.write_batch(at, batch).await?;
        if !self.pointers.commit(at, next.sequence).await? {
            return Err(WriteError::Moved);
        }
        self.last_batch.keep(next, written.latest());
        Ok(next)
    }

    async fn build(&self, at: Position, batch: &Batch) -> Result<Position, WriteError> {
        let next = at.after(batch.first(), batch.last())?;
        let written = self.write_batch(at, batch).await?;
        self.last_batch.keep(next, written.latest());
        Ok(next)
    }
}

/// Returns the last event folded into each document.
fn guards<K: Ord + Clone, T: Guarded>(documents: &BTreeMap<K, T>) -> BTreeMap<K, u64> {
    documents.iter().map(|(key, document)| (key.clone(), document.last_seq())).collect()
}

fn suite_of(solved: &Solved) -> (UserId, Digest) {
    (solved.key.principal.clone(), solved.key.suite_sha256)
}
