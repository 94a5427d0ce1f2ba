//! The store of `progress`, and its generations: held, switched by one guarded update of the
//! pointer, and deleted when superseded.

use async_trait::async_trait;
use events::LedgerPosition;
use futures::TryStreamExt as _;
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};

use super::document::GuardedDocument as _;
use super::pointer::{NAME, Pointers};
use super::solved::SolvedSuite;
use super::tracked::TrackedSubmission;
use super::users::UserProgress;
use super::writer::ProgressWriter;
use crate::error::WriteError;
use crate::generation::{Hold, LiveHistory, Position, SwitchOutcome, ViewStore};

/// How many documents of one collection are deleted in one command.
const DELETED_DOCUMENTS_MAX: i64 = 1_000;

/// The collections whose documents belong to a generation.
pub(super) const COLLECTIONS: [&str; 3] =
    [UserProgress::COLLECTION, SolvedSuite::COLLECTION, TrackedSubmission::COLLECTION];

/// A wish that the live generation stand still. Only a courtesy, so that a rebuild can draw level
/// under load: the switch itself does not rely on it.
struct ProgressHold {
    pointers: Pointers,
    live: Position,
    seen: Option<LedgerPosition>,
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

    async fn seen(&self) -> Result<Option<LedgerPosition>, WriteError> {
        Ok(self.pointers.get().await?.reserved())
    }

    async fn begin_generation(&self) -> Result<Position, WriteError> {
        Ok(Position { generation: self.pointers.begin().await?, last: None })
    }

    async fn hold(&self) -> Result<Box<dyn Hold>, WriteError> {
        // A token for each hold, so that a writer lifts only the one that it has waited for.
        let pointer = self.pointers.hold(&ObjectId::new().to_hex()).await?;
        let (live, seen) = (pointer.position(), pointer.reserved());
        Ok(Box::new(ProgressHold { pointers: self.pointers.clone(), live, seen }))
    }

    async fn delete_superseded(
        &self,
        report: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), WriteError> {
        let live = self.pointers.get().await?.generation;
        let mut deleted = 0;
        for collection in COLLECTIONS {
            let collection = self.database.collection::<Document>(collection);
            // Before every key.
            let mut reached = Bson::Document(Document::new());
            loop {
                let keys = delete_some(&collection, &reached, live).await?;
                let Some(last) = keys.last() else { break };
                reached = last.clone();
                deleted += keys.len() as u64;
                report(deleted);
            }
        }
        Ok(())
    }
}

/// Deletes a bounded number of documents of generations before the live one, those after `reached`.
/// Returns their keys in order.
async fn delete_some(
    collection: &Collection<Document>,
    reached: &Bson,
    live: i32,
) -> Result<Vec<Bson>, WriteError> {
    // Keys are compared field by field, and the generation is the first: everything below is of
    // earlier ones. From the place reached on, since the entries of deleted documents stay in the
    // index for a while, and a search from the beginning would pass all of them each time.
    let superseded = doc! {"_id": {"$gt": reached, "$lt": {"generation": live}}};
    let found: Vec<Document> = collection
        .find(superseded)
        .projection(doc! {"_id": 1})
        .sort(doc! {"_id": 1})
        .limit(DELETED_DOCUMENTS_MAX)
        .await?
        .try_collect()
        .await?;
    // By key, since a delete by range has no limit, and a long one would hold up the live
    // generation.
    let keys: Vec<Bson> = found.into_iter().filter_map(|mut found| found.remove("_id")).collect();
    if !keys.is_empty() {
        collection.delete_many(doc! {"_id": {"$in": keys.as_slice()}}).await?;
    }
    Ok(keys)
}

#[async_trait]
impl Hold for ProgressHold {
    fn live(&self) -> Position {
        self.live
    }

    fn seen(&self) -> Option<LedgerPosition> {
        self.seen
    }

    async fn switch(
        self: Box<Self>,
        rebuilt: Position,
        live: LiveHistory,
    ) -> Result<SwitchOutcome, WriteError> {
        if self.live.generation >= rebuilt.generation {
            return Ok(SwitchOutcome::Overtaken);
        }
        if self.pointers.switch(self.live, rebuilt, live).await? {
            return Ok(SwitchOutcome::Done);
        }
        // The refusal does not say which condition failed, so the pointer is read once more.
        let pointer = self.pointers.get().await?;
        let overtaken = pointer.generation >= rebuilt.generation;
        Ok(if overtaken { SwitchOutcome::Overtaken } else { SwitchOutcome::Behind })
    }
}
