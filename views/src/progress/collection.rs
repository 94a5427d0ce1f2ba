//! Collections of guarded documents: each names the last event folded into it, and a write holds
//! only if it still names the one that was loaded.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{self, Bson, Document, RawDocumentBuf, doc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Impossible, WriteError};

/// How many updates go into one command. Measured: more in one command are not faster.
const UPDATES_MAX: usize = 100;
/// How many documents come in one answer: those of a whole batch.
const CURSOR_DOCUMENTS: u32 = 1_000;
/// The server's code of a second document with one key.
const DUPLICATE_KEY: i32 = 11_000;

/// A document that names the last event folded into it.
pub trait GuardedDocument: Serialize + DeserializeOwned + Send + Sync {
    /// Where such documents lie.
    const COLLECTION: &'static str;

    /// Returns the document's key.
    fn key(&self) -> impl Serialize + '_;

    /// Returns the last event folded into it.
    fn last_seq(&self) -> u64;
}

/// A document to be written over the one that was loaded.
struct Replacement<'a, T> {
    document: &'a T,
    /// The last event folded into the loaded one; absent where there was none.
    loaded: Option<u64>,
}

/// What came of a guarded write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Every document.
    All,
    /// Another writer was faster at one document or more: load them again.
    Conflict,
}

/// Loads the documents with these keys; those that do not exist are absent.
pub(super) async fn load<T: GuardedDocument>(
    database: &Database,
    keys: impl IntoIterator<Item = impl Serialize>,
) -> Result<Vec<T>, WriteError> {
    let keys: Vec<Bson> = keys.into_iter().map(|key| to_bson(&key)).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<RawDocumentBuf> = database
        .collection(T::COLLECTION)
        .find(doc! {"_id": {"$in": keys}})
        .batch_size(CURSOR_DOCUMENTS)
        .await?
        .try_collect()
        .await?;
    Ok(found.iter().map(|raw| read(T::COLLECTION, raw)).collect::<Result<_, _>>()?)
}

/// Writes the documents that were folded further since they were `loaded`, each only if it is still
/// as it was loaded.
pub(super) async fn replace<K: Ord, T: GuardedDocument>(
    database: &Database,
    loaded: &BTreeMap<K, u64>,
    documents: &BTreeMap<K, T>,
) -> Result<Written, WriteError> {
    let changed: Vec<Replacement<'_, T>> = documents
        .iter()
        .map(|(key, document)| Replacement { document, loaded: loaded.get(key).copied() })
        .filter(|replacement| replacement.loaded != Some(replacement.document.last_seq()))
        .collect();
    let mut written = Written::All;
    for chunk in changed.chunks(UPDATES_MAX) {
        let updates = chunk.iter().map(update).collect::<Result<Vec<_>, _>>()?;
        // On disk before the answer. With less, a server could lose the documents in a crash and
        // still take the checkpoint, which the driver sends again by itself once it is back.
        let answer = database
            // The driver's `bulk_write` asks for a server of version 8, and ours is 6.
            .run_command(doc! {
                "update": T::COLLECTION,
                "updates": updates,
                // No document waits for another. In order, the server would stop at the first
                // duplicate key.
                "ordered": false,
                "writeConcern": {"w": "majority", "j": true},
            })
            .await?;
        if outcome_of_update(&answer, chunk.len())? == Written::Conflict {
            // The other chunks go on: each document is guarded by itself, and the next try loads it
            // as it is by then.
            written = Written::Conflict;
        }
    }
    Ok(written)
}

/// Reads a document, or says which one is impossible and where.
pub(super) fn read<T: DeserializeOwned>(
    collection: &'static str,
    raw: &RawDocumentBuf,
) -> Result<T, Impossible> {
    bson::deserialize_from_slice(raw.as_bytes()).map_err(|error| {
        // Read again in the slower way that knows where in the document it is.
        let place = Document::try_from(raw.as_ref()).ok().map(|document| {
            let key = document.get("_id").map(ToString::to_string).unwrap_or_default();
            let faulty = serde_path_to_error::deserialize::<_, T>(bson::Deserializer::new(
                Bson::Document(document),
            ));
            (key, faulty.err().map(|error| error.path().to_string()).unwrap_or_default())
        });
        let (key, column) = place.unwrap_or_default();
        Impossible { table: collection, column, key, source: error.into() }
    })
}

fn update<T: GuardedDocument>(replacement: &Replacement<'_, T>) -> Result<Document, WriteError> {
    let document = replacement.document;
    let last_seq = match replacement.loaded {
        Some(sequence) => to_bson(&sequence)?,
        // A document that has appeared since has the field, so the upsert meets its key and fails.
        None => Bson::from(doc! {"$exists": false}),
    };
    Ok(doc! {
        "q": {"_id": to_bson(&document.key())?, "last_seq": last_seq},
        "u": to_bson(document)?,
        "upsert": replacement.loaded.is_none(),
    })
}

fn outcome_of_update(answer: &Document, offered: usize) -> Result<Written, WriteError> {
    let errors = answer.get_array("writeErrors").map_or(&[][..], Vec::as_slice);
    for error in errors.iter().filter_map(Bson::as_document) {
        let code = error.get_i32("code").unwrap_or_default();
        // An upsert whose guard does not match tries to insert a second document with the key.
        if code != DUPLICATE_KEY {
            let message = error.get_str("errmsg").unwrap_or_default().to_owned();
            return Err(WriteError::Refused { code, message });
        }
    }
    // The documents are written then, but perhaps not on disk, and the checkpoint must not pass
    // them.
    if let Ok(concern) = answer.get_document("writeConcernError") {
        let code = concern.get_i32("code").unwrap_or_default();
        let message = concern.get_str("errmsg").unwrap_or_default().to_owned();
        return Err(WriteError::Refused { code, message });
    }
    // `n` counts upserts, too: it falls short only where a guard did not match.
    let matched = answer.get_i32("n").unwrap_or_default();
    let all = usize::try_from(matched).is_ok_and(|matched| matched == offered);
    Ok(if all { Written::All } else { Written::Conflict })
}

fn to_bson(value: &impl Serialize) -> Result<Bson, WriteError> {
    bson::serialize_to_bson(value).map_err(|error| WriteError::Encoding(Box::new(error)))
}
