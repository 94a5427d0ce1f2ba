//! The document that says which generation readers see, and where it stands. Every move of it is
//! one guarded update.

use events::{Digest, LedgerId, LedgerPosition};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, ReturnDocument, WriteConcern};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::document::read;
use super::field::text;
use crate::error::{TooLarge, WriteError};
use crate::generation::{LiveHistory, Position};

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
    /// What that event is, and of which ledger; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) folded: Option<NamedEntry>,
    /// No event after this one is in any document: it is moved before the documents are.
    pub(super) reserved: u64,
    /// What that event is, and of which ledger; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reserved_entry: Option<NamedEntry>,
    /// Present while a rebuild asks the live generation to stand still: which one asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hold: Option<String>,
}

/// What an entry of the ledger is, beside its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedEntry {
    #[serde(with = "text")]
    ledger: LedgerId,
    digest: Digest,
}

impl NamedEntry {
    /// Returns what a pointer from before ledgers had ids names: no ledger has it, so that the
    /// projector asks for a rebuild.
    fn unknown() -> Self {
        Self { ledger: LedgerId::new(Uuid::nil()), digest: Digest::of(&[]) }
    }

    fn document_of(last: LedgerPosition) -> Document {
        doc! {"ledger": last.ledger.to_string(), "digest": last.digest.to_string()}
    }
}

impl GenerationPointer {
    /// Returns where the live generation stands.
    pub(super) fn position(&self) -> Position {
        Position { generation: self.generation, last: position_of(self.sequence, self.folded) }
    }

    /// Returns the last entry that may be in any document; none before the first.
    pub(super) fn reserved(&self) -> Option<LedgerPosition> {
        position_of(self.reserved, self.reserved_entry)
    }
}

fn position_of(sequence: u64, entry: Option<NamedEntry>) -> Option<LedgerPosition> {
    let NamedEntry { ledger, digest } = entry.unwrap_or_else(NamedEntry::unknown);
    (sequence > 0).then_some(LedgerPosition { ledger, sequence, digest })
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
    pub(super) async fn reserve(
        &self,
        at: Position,
        to: LedgerPosition,
    ) -> Result<bool, WriteError> {
        let mut stands = pointer_at(at)?;
        stands.insert("hold", doc! {"$exists": false});
        let sequence = signed(to.sequence)?;
        let entry = NamedEntry::document_of(to);
        // Never lower: a batch that was cut off may have written documents up to the higher number.
        let higher =
            |new: Bson, old: &str| doc! {"$cond": [{"$gt": [sequence, "$reserved"]}, new, old]};
        let reserved = vec![doc! {"$set": {
            "reserved": higher(sequence.into(), "$reserved"),
            "reserved_entry": higher(entry.into(), "$reserved_entry"),
        }}];
        // Not worth a sync of its own: documents follow with one, and the server's journal keeps
        // the order of writes.
        let done = self.0.update_one(stands, reserved).write_concern(taken_by_primary()).await?;
        Ok(done.matched_count == 1)
    }

    /// Moves the checkpoint, durably. False when it is not at `at` any more.
    pub(super) async fn commit(
        &self,
        at: Position,
        to: LedgerPosition,
    ) -> Result<bool, WriteError> {
        // A hold does not stop this: a batch that was reserved before it may be finished.
        let folded = NamedEntry::document_of(to);
        let moved = doc! {"$set": {"sequence": signed(to.sequence)?, "folded": folded}};
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

    /// Points at a rebuilt generation, if it is later than the live one and holds everything that
    /// readers may still rely on.
    pub(super) async fn switch(
        &self,
        live: Position,
        to: Position,
        history: LiveHistory,
    ) -> Result<bool, WriteError> {
        let sequence = signed(to.sequence())?;
        let behind = match history {
            // By `reserved`, not by `sequence`: readers may have seen documents of a batch that is
            // not committed.
            LiveHistory::Same => doc! {
                "_id": NAME, "generation": {"$lt": to.generation}, "reserved": {"$lte": sequence},
            },
            // As it stood when its history was found to be gone.
            LiveHistory::Gone => doc! {
                "_id": NAME, "generation": live.generation, "sequence": signed(live.sequence())?,
            },
        };
        let mut set =
            doc! {"generation": to.generation, "sequence": sequence, "reserved": sequence};
        let mut unset = doc! {"hold": ""};
        for field in ["folded", "reserved_entry"] {
            match to.last.map(NamedEntry::document_of) {
                Some(entry) => set.insert(field, entry),
                None => unset.insert(field, ""),
            };
        }
        let ahead = doc! {"$set": set, "$unset": unset};
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
    let sequence = signed(at.sequence())?;
    let mut pointer = doc! {"_id": NAME, "generation": at.generation, "sequence": sequence};
    // Another ledger has the same sequences.
    if let Some(last) = at.last {
        pointer.insert("folded", NamedEntry::document_of(last));
    }
    Ok(pointer)
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
