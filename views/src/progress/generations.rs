//! The store of `progress`, and its generations: held, switched by one guarded update of the
//! pointer, and deleted when superseded.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};

use super::document::GuardedDocument as _;
use super::pointer::{GenerationPointer, NAME, Pointers};
use super::solved::SolvedSuite;
use super::tracked::TrackedSubmission;
use super::users::UserProgress;
use super::writer::ProgressWriter;
use crate::error::WriteError;
use crate::generation::{Hold, Position, SwitchOutcome, ViewStore};

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
        let GenerationPointer { generation, reserved, .. } =
            // A token for each hold, so that a writer lifts only the one that it has waited for.
            self.pointers.hold(&ObjectId::new().to_hex()).await?;
        let live = Position { generation, sequence: reserved };
        Ok(Box::new(ProgressHold { pointers: self.pointers.clone(), live }))
    }

    async fn delete_superseded(&self) -> Result<u64, WriteError> {
        let live = self.pointers.get().await?.generation;
        let mut deleted = 0;
        for collection in COLLECTIONS {
            deleted += delete_some(&self.database, collection, live).await?;
        }
        Ok(deleted)
    }
}

/// Deletes a bounded number of documents of generations before the live one.
async fn delete_some(database: &Database, collection: &str, live: i32) -> Result<u64, WriteError> {
    let collection = database.collection::<Document>(collection);
    // Keys are compared field by field, and the generation is the first: everything below is of
    // earlier ones.
    let superseded = doc! {"_id": {"$lt": {"generation": live}}};
    let found: Vec<Document> = collection
        .find(superseded)
        .projection(doc! {"_id": 1})
        .limit(DELETED_DOCUMENTS_MAX)
        .await?
        .try_collect()
        .await?;
    // By key, since a delete by range has no limit, and a long one would hold up the live
    // generation.
    let keys: Vec<Bson> = found.into_iter().filter_map(|mut found| found.remove("_id")).collect();
    if keys.is_empty() {
        return Ok(0);
    }
    Ok(collection.delete_many(doc! {"_id": {"$in": keys}}).await?.deleted_count)
}

#[async_trait]
impl Hold for ProgressHold {
    fn live(&self) -> Position {
        self.live
    }

    async fn switch(self: Box<Self>, rebuilt: Position) -> Result<SwitchOutcome, WriteError> {
        if self.pointers.switch(rebuilt).await? {
            return Ok(SwitchOutcome::Done);
        }
        // The refusal does not say which condition failed, so the pointer is read once more.
        let pointer = self.pointers.get().await?;
        let overtaken = pointer.generation >= rebuilt.generation;
        Ok(if overtaken { SwitchOutcome::Overtaken } else { SwitchOutcome::Behind })
    }
}
