//! The document that says which generation readers see, and where it stands. Every move of it is
//! one guarded update.

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, ReturnDocument, WriteConcern};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};

use super::document::read;
use crate::error::{TooLarge, WriteError};
use crate::generation::Position;

/// Where pointers lie.
pub(super) const POINTERS: &str = "projections";
/// The name of the view, and the key of its pointer.
pub(super) const NAME: &str = "progress";

/// The pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerationPointer {
    /// The view.
    #[serde(rename = "_id")]
    pub(super) name: String,
    /// The generation that readers see.
    pub(super) generation: i32,
    /// The last generation that was ever begun.
    pub(super) last_generation: i32,
    /// Every event up to this one is in the documents.
    pub(super) sequence: u64,
    /// No event after this one is in any document: it is moved before the documents are.
    pub(super) reserved: u64,
    /// Present while a rebuild asks the live generation to stand still: which one asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hold: Option<String>,
}

impl GenerationPointer {
    /// Returns where the live generation stands.
    pub(super) fn position(&self) -> Position {
        Position { generation: self.generation, sequence: self.sequence }
    }
}

/// The collection of pointers.
#[derive(Clone, Debug)]
pub(super) struct Pointers(Collection<RawDocumentBuf>);

impl Pointers {
    /// Names the collection in a database.
    pub(super) fn in_database(database: &Database) -> Self {
        Self(database.collection(POINTERS))
    }

    /// Makes the pointer of an empty first generation, where there is none.
    pub(super) async fn create(&self) -> Result<(), WriteError> {
        // 64 bits from the start, the width that `progress_v1.md` promises for every sequence.
        let first =
            doc! {"generation": 1, "last_generation": 1, "sequence": 0_i64, "reserved": 0_i64};
        self.0
            .update_one(doc! {"_id": NAME}, doc! {"$setOnInsert": first})
            .upsert(true)
            .write_concern(on_disk_of_majority())
            .await?;
        Ok(())
    }

    /// Reads the pointer.
    pub(super) async fn get(&self) -> Result<GenerationPointer, WriteError> {
        let found = self.0.find_one(doc! {"_id": NAME}).await?;
        Ok(read(POINTERS, &found.ok_or(WriteError::Missing(NAME))?)?)
    }

    /// Announces that documents may hold events up to `to`. False when `at` is not where the live
    /// generation stands, or a rebuild holds it.
    pub(super) async fn reserve(&self, at: Position, to: u64) -> Result<bool, WriteError> {
        let mut stands = pointer_at(at)?;
        stands.insert("hold", doc! {"$exists": false});
        // Never lower: a batch that was cut off may have written documents up to the higher number.
        let reserved = doc! {"$max": {"reserved": signed(to)?}};
        // Not worth a sync of its own: documents follow with one, and the server's journal keeps
        // the order of writes.
        let done = self.0.update_one(stands, reserved).write_concern(taken_by_primary()).await?;
        Ok(done.matched_count == 1)
    }

    /// Moves the checkpoint, durably. False when it is not at `at` any more.
    pub(super) async fn commit(&self, at: Position, to: u64) -> Result<bool, WriteError> {
        // A hold does not stop this: a batch that was reserved before it may be finished.
        let moved = doc! {"$set": {"sequence": signed(to)?}};
        let done =
            self.0.update_one(pointer_at(at)?, moved).write_concern(on_disk_of_majority()).await?;
        Ok(done.matched_count == 1)
    }

    /// Takes the number of a generation that no rebuild has begun.
    pub(super) async fn begin(&self) -> Result<i32, WriteError> {
        let pointer =
            self.change(doc! {"_id": NAME}, doc! {"$inc": {"last_generation": 1}}).await?;
        Ok(pointer.ok_or(WriteError::Missing(NAME))?.last_generation)
    }

    /// Asks the live generation to stand still. Returns the pointer, past whose `reserved` it will
    /// not go.
    pub(super) async fn hold(&self, token: &str) -> Result<GenerationPointer, WriteError> {
        let pointer = self.change(doc! {"_id": NAME}, doc! {"$set": {"hold": token}}).await?;
        pointer.ok_or(WriteError::Missing(NAME))
    }

    /// Lifts a hold, if it is still the one named.
    pub(super) async fn release(&self, token: &str) -> Result<(), WriteError> {
        // If a crash loses this, the writer meets the hold again, and lifts it again.
        let lifted = doc! {"$unset": {"hold": ""}};
        self.0
            .update_one(doc! {"_id": NAME, "hold": token}, lifted)
            .write_concern(taken_by_primary())
            .await?;
        Ok(())
    }

    /// Points at a rebuilt generation, if it is later and holds everything that any reader may have
    /// seen.
    pub(super) async fn switch(&self, to: Position) -> Result<bool, WriteError> {
        let sequence = signed(to.sequence)?;
        // By `reserved`, not by `sequence`: readers may have seen documents of a batch that is not
        // committed.
        let behind = doc! {
            "_id": NAME, "generation": {"$lt": to.generation}, "reserved": {"$lte": sequence},
        };
        let ahead = doc! {
            "$set": {"generation": to.generation, "sequence": sequence, "reserved": sequence},
            "$unset": {"hold": ""},
        };
        let done = self.0.update_one(behind, ahead).write_concern(on_disk_of_majority()).await?;
        Ok(done.matched_count == 1)
    }

    async fn change(
        &self,
        filter: Document,
        update: Document,
    ) -> Result<Option<GenerationPointer>, WriteError> {
        let changed = self
            .0
            .find_one_and_update(filter, update)
            .return_document(ReturnDocument::After)
            .write_concern(on_disk_of_majority())
            .await?;
        Ok(changed.as_ref().map(|raw| read(POINTERS, raw)).transpose()?)
    }
}

fn pointer_at(at: Position) -> Result<Document, WriteError> {
    Ok(doc! {"_id": NAME, "generation": at.generation, "sequence": signed(at.sequence)?})
}

fn signed(value: u64) -> Result<i64, TooLarge> {
    let key = NAME.to_owned();
    i64::try_from(value).map_err(|_too_large| TooLarge {
        table: POINTERS,
        column: "sequence",
        key,
        value,
    })
}

/// Waits until it is on the disks of a majority.
fn on_disk_of_majority() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// Waits until the primary has it.
fn taken_by_primary() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Nodes(1)).build()
}
