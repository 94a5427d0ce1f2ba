//! The writer's side of `progress`: guarded documents, and the pointer that is moved before and
//! after them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::LedgerPosition;
use futures::TryStreamExt as _;
use mongodb::bson::{self, Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ClientOptions, IndexOptions};
use mongodb::{Client, Database, IndexModel};
use serde::Serialize;
use tokio::time::Instant;

use super::document::{GuardedDocument, read};
use super::pointer::{GenerationPointer, Pointers};
use super::solved::SolvedSuite;
use super::tracked::{REMEMBERED_AFTER_END, TrackedSubmission};
use crate::error::{OpenError, WriteError};
use crate::generation::Position;

/// How many updates go into one command. Measured: more in one command are not faster.
const UPDATES_MAX: usize = 100;
/// How many documents come in one answer: those of a whole batch.
const CURSOR_DOCUMENTS: u32 = 1_000;
/// The server's code of a second document with one key.
const DUPLICATE_KEY: i32 = 11_000;
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
    pub(super) database: Database,
    pub(super) pointers: Pointers,
    hold_time_max: Duration,
    /// The hold that was met last, and when it was met first.
    met: Arc<Mutex<Option<(String, Instant)>>>,
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
        // The server removes what has ended for so long. What has not ended lacks the field.
        let options = IndexOptions::builder()
            .name("ended_at".to_owned())
            .sparse(true)
            .expire_after(REMEMBERED_AFTER_END);
        let expiry = IndexModel::builder().keys(doc! {"ended_at": 1}).options(options.build());
        self.database
            .collection::<TrackedSubmission>(TrackedSubmission::COLLECTION)
            .create_index(expiry.build())
            .await?;
        Ok(())
    }

    /// Loads the documents with these keys; those that do not exist are absent.
    pub async fn load<T: GuardedDocument>(
        &self,
        keys: impl IntoIterator<Item = impl Serialize>,
    ) -> Result<Vec<T>, WriteError> {
        let keys: Vec<Bson> =
            keys.into_iter().map(|key| to_bson(&key)).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<RawDocumentBuf> = self
            .database
            .collection(T::COLLECTION)
            .find(doc! {"_id": {"$in": keys}})
            .batch_size(CURSOR_DOCUMENTS)
            .await?
            .try_collect()
            .await?;
        Ok(found.iter().map(|raw| read(T::COLLECTION, raw)).collect::<Result<_, _>>()?)
    }

    /// Writes the documents that were folded further since they were `loaded`, each only if it is
    /// still as it was loaded.
    pub async fn replace<K: Ord, T: GuardedDocument>(
        &self,
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
            // On disk before the answer. With less, a server could lose the documents in a crash
            // and still take the checkpoint, which the driver sends again by itself once it is
            // back.
            let answer = self
                .database
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
                // The other chunks go on: each document is guarded by itself, and the next try
                // loads it as it is by then.
                written = Written::Conflict;
            }
        }
        Ok(written)
    }

    /// Announces that documents of the live generation may hold events up to `to`, before any of
    /// them does.
    pub async fn reserve(&self, at: Position, to: LedgerPosition) -> Result<(), WriteError> {
        if self.pointers.reserve(at, to).await? { Ok(()) } else { Err(self.refusal(at).await?) }
    }

    /// Moves the checkpoint, after the documents.
    pub async fn commit(&self, at: Position, to: LedgerPosition) -> Result<(), WriteError> {
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
