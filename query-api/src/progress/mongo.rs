//! The view in MongoDB. Every question has a deadline.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use events::UserId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, SelectionCriteria};
use mongodb::{Client, Database};
use tracing::instrument;
use views::error::{OpenError, ViewError};

use super::document::{self, COLLECTION};
use super::{Progress, ProgressView};

/// The collection of pointers to what readers see.
const PROJECTIONS: &str = "projections";
/// How long one question may take, connecting included.
const QUESTION_TIME_MAX: Duration = Duration::from_secs(2);
/// How often a rebuild may switch under one question before it gives up.
const TRIES_MAX: u32 = 5;

/// The view's store.
pub struct MongoProgress {
    database: Database,
}

impl MongoProgress {
    /// Prepares a connection to `url`; it is made in the background.
    pub async fn open(url: &str, database: &str) -> Result<Self, OpenError> {
        let mut options = ClientOptions::parse(url).await?;
        options.app_name = Some("query-api".to_owned());
        options.server_selection_timeout = Some(QUESTION_TIME_MAX);
        options.connect_timeout = Some(QUESTION_TIME_MAX);
        // The pointer and the documents must be seen in the order in which they were written.
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(mongodb::options::ReadPreference::Primary));
        options.read_concern = Some(ReadConcern::local());
        Ok(Self { database: Client::with_options(options)?.database(database) })
    }

    /// Reads the pointer, then the document of the generation that it names. Where there is none, a rebuild may have
    /// switched in between, so the pointer is read again.
    async fn find(&self, user: &UserId) -> Result<Option<Document>, ViewError> {
        let mut seen = None;
        for _try in 0..TRIES_MAX {
            let generation = self.generation().await?;
            if generation.is_none() || generation == seen {
                return Ok(None);
            }
            let key = doc! {"generation": generation.clone(), "principal": user.as_str()};
            let found = self.database.collection(COLLECTION).find_one(doc! {"_id": key}).await;
            if let Some(document) = found.map_err(away)? {
                return Ok(Some(document));
            }
            seen = generation;
        }
        Err(away("the view was rebuilt too often under one question"))
    }

    async fn generation(&self) -> Result<Option<Bson>, ViewError> {
        let pointers = self.database.collection::<Document>(PROJECTIONS);
        let pointer = pointers.find_one(doc! {"_id": "progress"}).await.map_err(away)?;
        Ok(pointer.and_then(|mut pointer| pointer.remove("generation")))
    }
}

fn away(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ViewError {
    ViewError::Away { detail: "the progress view does not answer", source: source.into() }
}

async fn in_time<T>(question: impl Future<Output = Result<T, ViewError>>) -> Result<T, ViewError> {
    let answer = tokio::time::timeout(QUESTION_TIME_MAX, question).await;
    answer.unwrap_or_else(|late| Err(away(late)))
}

impl fmt::Debug for MongoProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoProgress").field("database", &self.database.name()).finish()
    }
}

#[async_trait]
impl ProgressView for MongoProgress {
    #[instrument(skip_all)]
    async fn of_user(&self, user: &UserId) -> Result<Option<Progress>, ViewError> {
        let found = in_time(self.find(user)).await?;
        Ok(found.map(|document| document::read(document, user)).transpose()?)
    }

    async fn ping(&self) -> Result<(), ViewError> {
        let pong = async { self.database.run_command(doc! {"ping": 1}).await.map_err(away) };
        in_time(pong).await.map(drop)
    }
}
