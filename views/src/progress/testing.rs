//! A MongoDB database of a test's own.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its part fails its test")]

use std::net::SocketAddr;

use futures::TryStreamExt as _;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::{Client, Database};

use super::document::{GuardedDocument, read};
use super::generations::COLLECTIONS;
use super::pointer::{NAME, POINTERS};
use crate::testing::{fresh_name, variable};

/// The database, on the server at `RUNLEDGER_TEST_MONGO_URL`.
#[derive(Debug)]
pub struct ProgressDatabase {
    /// Its documents.
    pub documents: Database,
    /// The URL of the server.
    pub url: String,
}

impl ProgressDatabase {
    /// Makes it, empty.
    pub async fn fresh() -> Self {
        let url = variable("RUNLEDGER_TEST_MONGO_URL");
        let documents = Client::with_uri_str(&url).await.unwrap().database(&fresh_name());
        Self { documents, url }
    }

    /// Returns the address of the server.
    pub fn server_address() -> SocketAddr {
        let url = variable("RUNLEDGER_TEST_MONGO_URL");
        let hosts = url.trim_start_matches("mongodb://");
        hosts.split(['/', ',', '?']).next().unwrap().parse().unwrap()
    }

    /// Reads the pointer.
    pub async fn pointer(&self) -> Document {
        let pointers = self.documents.collection::<Document>(POINTERS);
        pointers.find_one(doc! {"_id": NAME}).await.unwrap().unwrap()
    }

    /// Reads every document of one kind and generation. Only for when nothing writes.
    pub async fn all<T: GuardedDocument>(&self, generation: i32) -> Vec<T> {
        let found: Vec<RawDocumentBuf> = self
            .documents
            .collection(T::COLLECTION)
            .find(doc! {"_id.generation": generation})
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        found.iter().map(|raw| read(T::COLLECTION, raw).unwrap()).collect()
    }

    /// Counts what is stored of one generation.
    pub async fn count(&self, generation: i32) -> u64 {
        let mut count = 0;
        for collection in COLLECTIONS {
            let collection = self.documents.collection::<Document>(collection);
            count += collection.count_documents(doc! {"_id.generation": generation}).await.unwrap();
        }
        count
    }

    /// Stores a document as it is.
    pub async fn insert(&self, collection: &str, document: Document) {
        self.documents.collection(collection).insert_one(document).await.unwrap();
    }

    /// Removes the database.
    pub async fn remove(self) {
        self.documents.drop().await.unwrap();
    }
}
