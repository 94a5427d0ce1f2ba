//! Guarded documents: each names the last event folded into it, and a write holds only if it still
//! names the one that was loaded.

use mongodb::bson::{self, Bson, Document, RawDocumentBuf};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Impossible;

/// A document that names the last event folded into it.
pub trait GuardedDocument: Serialize + DeserializeOwned + Send + Sync {
    /// Where such documents lie.
    const COLLECTION: &'static str;

    /// Returns the document's key.
    fn key(&self) -> impl Serialize + '_;

    /// Returns the last event folded into it.
    fn last_seq(&self) -> u64;
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
