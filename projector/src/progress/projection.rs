//! The projection on its store: guarded documents, and the order in which they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use events::{Clock, Digest, SubmissionId, UserId};
use views::error::WriteError;
use views::generation::{Audience, Position, ViewStore};
use views::progress::{
    GuardedDocument, ProgressKey, ProgressWriter, SolvedKey, SolvedSuite, TrackedKey,
    TrackedSubmission, UserProgress, Written,
};

use super::fold::{Viewed, Views, derive, view};
use crate::batch::EventBatch;
use crate::last_batch::{LastBatch, keep_latest};
use crate::projection::Projection;

/// How often a batch is loaded and folded again because another writer was faster.
const CONFLICTS_MAX: u32 = 5;
/// How many submissions are kept in memory.
// A document is half a KiB.
const SUBMISSIONS_MAX: usize = 5_000;
/// How many users are kept in memory.
// A document is 15 KiB at most.
const USERS_MAX: usize = 500;

/// The projection `progress` on MongoDB.
#[derive(Clone, Debug)]
pub struct ProgressProjection {
    writer: ProgressWriter,
    clock: Arc<dyn Clock>,
    last_batch: Arc<LastBatch<Recalled>>,
}

/// Documents as they stand at one position.
// Without solved suites: a user solves few of them, so a kept one would rarely be asked for again.
#[derive(Debug, Default)]
struct Recalled {
    tracked: BTreeMap<SubmissionId, TrackedSubmission>,
    progress: BTreeMap<UserId, UserProgress>,
}

impl Recalled {
    /// Returns the documents that are likely to be needed again.
    fn latest(mut self) -> Self {
        // Nothing follows the end of a submission.
        self.tracked.retain(|_, tracked| !tracked.state.is_terminal());
        keep_latest(&mut self.tracked, SUBMISSIONS_MAX, GuardedDocument::last_seq);
        keep_latest(&mut self.progress, USERS_MAX, GuardedDocument::last_seq);
        self
    }
}

impl ProgressProjection {
    /// Makes the projection that writes to this store.
    pub fn new(writer: ProgressWriter, clock: Arc<dyn Clock>) -> Self {
        Self { writer, clock, last_batch: Arc::default() }
    }

    /// Returns the store.
    pub fn writer(&self) -> &ProgressWriter {
        &self.writer
    }

    /// Folds a batch into the documents of one generation. Returns those that it touched.
    async fn write_batch(
        &self,
        audience: Audience,
        at: Position,
        batch: &EventBatch,
    ) -> Result<Recalled, WriteError> {
        let mut recalled = self.last_batch.take(at);
        for _ in 0..CONFLICTS_MAX {
            if let Some(written) = self.try_batch(audience, at, batch, recalled).await? {
                return Ok(written);
            }
            // Another writer has changed a document, so what was recalled may be old: load all of
            // it.
            recalled = Recalled::default();
        }
        // A writer that wins each time has probably moved the position, too. If the runner reads
        // the position again, the two of them stop competing for one batch.
        Err(WriteError::Moved)
    }

    /// Loads, folds and writes once; `None` if another writer was faster.
    async fn try_batch(
        &self,
        audience: Audience,
        at: Position,
        batch: &EventBatch,
        recalled: Recalled,
    ) -> Result<Option<Recalled>, WriteError> {
        let generation = at.generation;
        let Recalled { tracked: mut known, progress } = recalled;
        self.load_tracked(generation, batch, &mut known).await?;
        let mut derived = derive(generation, &known, batch);
        let mut before = Views { progress, ..Views::default() };
        self.load_views(generation, Viewed::of(&derived.facts), &mut before).await?;
        // Taken before the fold changes the documents: a replacement has to find what was loaded.
        let (progress, solved) = (guards(&before.progress), guards(&before.solved));
        let after = view(generation, before, &derived.facts);
        let (solved, progress) = tokio::try_join!(
            self.writer.replace(&solved, &after.solved),
            self.writer.replace(&progress, &after.progress),
        )?;
        if solved == Written::Conflict || progress == Written::Conflict {
            return Ok(None);
        }
        // After the views: a crash in between derives the same facts again, and the views that have
        // them skip them. The other way round, the facts would be lost.
        if audience == Audience::Rebuild {
            // A rebuild alone writes its generation, and it folds no event twice. So an end says
            // nothing to a later batch, unless an earlier one has stored the beginning.
            derived.tracked.retain(|id, it| !it.state.is_terminal() || known.contains_key(id));
        }
        // Not the time of the event: a projector that catches up folds ends that are long past, and
        // the server would remove at once what another projector has to meet.
        let now = self.clock.now();
        for ended in derived.tracked.values_mut().filter(|it| it.state.is_terminal()) {
            ended.ended_at = Some(now.into());
        }
        let tracked = self.writer.replace(&guards(&known), &derived.tracked).await?;
        if tracked == Written::Conflict {
            return Ok(None);
        }
        known.extend(derived.tracked);
        Ok(Some(Recalled { tracked: known, progress: after.progress }))
    }

    /// Loads what is remembered of a batch's submissions and not `known` yet.
    async fn load_tracked(
        &self,
        generation: i32,
        batch: &EventBatch,
        known: &mut BTreeMap<SubmissionId, TrackedSubmission>,
    ) -> Result<(), WriteError> {
        let unknown = batch.submissions().into_iter().filter(|id| !known.contains_key(id));
        let keys = unknown.map(|submission| TrackedKey { generation, submission });
        let found: Vec<TrackedSubmission> = self.writer.load(keys.collect::<Vec<_>>()).await?;
        known.extend(found.into_iter().map(|tracked| (tracked.key.submission, tracked)));
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
            self.writer.load::<UserProgress>(users),
            self.writer.load::<SolvedSuite>(suites),
        )?;
        let by_user = |progress: UserProgress| (progress.key.principal.clone(), progress);
        views.progress.extend(progress.into_iter().map(by_user));
        views.solved.extend(solved.into_iter().map(|solved| (suite_of(&solved), solved)));
        Ok(())
    }
}

#[async_trait]
impl Projection for ProgressProjection {
    fn store(&self) -> &dyn ViewStore {
        &self.writer
    }

    async fn fold(
        &self,
        audience: Audience,
        at: Position,
        batch: &EventBatch,
    ) -> Result<Position, WriteError> {
        let next = at.after(batch.first(), batch.last())?;
        // A generation that no reader sees is neither reserved nor committed: after a rebuild that
        // died the next one begins a generation of its own.
        let is_read = audience == Audience::Readers;
        if is_read {
            // Before any document: a rebuild learns from the reservation how far readers may have
            // seen.
            self.writer.reserve(at, batch.last()).await?;
        }
        let written = self.write_batch(audience, at, batch).await?;
        if is_read {
            self.writer.commit(at, batch.last()).await?;
        }
        self.last_batch.keep(next, written.latest());
        Ok(next)
    }
}

/// Returns the last event folded into each document.
fn guards<K: Ord + Clone, T: GuardedDocument>(documents: &BTreeMap<K, T>) -> BTreeMap<K, u64> {
    documents.iter().map(|(key, document)| (key.clone(), document.last_seq())).collect()
}

fn suite_of(solved: &SolvedSuite) -> (UserId, Digest) {
    (solved.key.principal.clone(), solved.key.suite_sha256)
}
