//! The readers' side of `progress`. Every question has a deadline.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use events::UserId;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ClientOptions, ReadConcern, ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};
use tracing::instrument;

use super::document::{GuardedDocument as _, read};
use super::pointer::{NAME, POINTERS};
use super::users::UserProgress;
use crate::error::{OpenError, ViewError};

/// How long one question may take, connecting included.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(2);
/// How often a rebuild may switch under one question before it gives up.
const TRIES_MAX: u32 = 5;

/// Answers from the view.
#[async_trait]
pub trait ProgressView: fmt::Debug + Send + Sync {
    /// Returns what the view knows of a user; of a new one, nothing.
    async fn find_user(&self, user: &UserId) -> Result<Option<UserProgress>, ViewError>;

    /// Asks for a sign of life.
    async fn ping(&self) -> Result<(), ViewError>;
}

/// The view in MongoDB.
pub struct ProgressReader {
    database: Database,
}

impl ProgressReader {
    /// Prepares a connection to `url`; it is made in the background.
    pub async fn open(url: &str, database: &str) -> Result<Self, OpenError> {
        let mut options = ClientOptions::parse(url).await?;
        options.app_name = Some("query-api".to_owned());
        // By default the driver looks for a server for 30 seconds, longer than a client waits.
        options.server_selection_timeout = Some(QUESTION_TIME_MAX);
        options.connect_timeout = Some(QUESTION_TIME_MAX);
        // The pointer and the documents must be seen in the order in which they were written.
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        options.read_concern = Some(ReadConcern::local());
        Ok(Self { database: Client::with_options(options)?.database(database) })
    }

    /// Reads the pointer, then the document of the generation that it names. Where there is none, a
    /// rebuild may have switched in between, so the pointer is read again.
    async fn find(&self, user: &UserId) -> Result<Option<RawDocumentBuf>, ViewError> {
        let documents = self.database.collection(UserProgress::COLLECTION);
        let mut seen = None;
        for _try in 0..TRIES_MAX {
            let generation = self.generation().await?;
            // The generation has not moved since the last look, so there really is no document.
            if generation.is_none() || generation == seen {
                return Ok(None);
            }
            let key = doc! {"generation": generation.clone(), "principal": user.as_str()};
            let found = documents.find_one(doc! {"_id": key}).await.map_err(away)?;
            if found.is_some() {
                return Ok(found);
            }
            seen = generation;
        }
        Err(away("the view was rebuilt too often under one question"))
    }

    async fn generation(&self) -> Result<Option<Bson>, ViewError> {
        let pointers = self.database.collection::<Document>(POINTERS);
        let pointer = pointers.find_one(doc! {"_id": NAME}).await.map_err(away)?;
        Ok(pointer.and_then(|mut pointer| pointer.remove("generation")))
    }
}

impl fmt::Debug for ProgressReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressReader").field("database", &self.database.name()).finish()
    }
}

#[async_trait]
impl ProgressView for ProgressReader {
    #[instrument(skip_all)]
    async fn find_user(&self, user: &UserId) -> Result<Option<UserProgress>, ViewError> {
        let found = in_time(self.find(user)).await?;
        Ok(found.map(|document| read(UserProgress::COLLECTION, &document)).transpose()?)
    }

    async fn ping(&self) -> Result<(), ViewError> {
        let pong = async { self.database.run_command(doc! {"ping": 1}).await.map_err(away) };
        in_time(pong).await.map(drop)
    }
}

async fn in_time<T>(question: impl Future<Output = Result<T, ViewError>>) -> Result<T, ViewError> {
    // The driver's own limits are for connecting; a server that hangs after that has none.
    let answer = tokio::time::timeout(QUESTION_TIME_MAX, question).await;
    answer.unwrap_or_else(|late| Err(away(late)))
}

fn away(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ViewError {
    ViewError::Away { detail: "the progress view does not answer", source: source.into() }
}
