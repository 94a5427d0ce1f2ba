//! A database of a test's own on a real MongoDB.

use mongodb::bson::Document;
use query_api::progress::mongo::MongoProgress;
use views::testing::{fresh_name, variable};

/// A MongoDB database.
pub(crate) struct Mongo {
    pub(crate) database: mongodb::Database,
    pub(crate) view: MongoProgress,
}

impl Mongo {
    pub(crate) async fn fresh() -> Self {
        let (url, name) = (variable("RUNLEDGER_TEST_MONGO_URL"), fresh_name());
        let view = MongoProgress::open(&url, &name).await.unwrap();
        let database = mongodb::Client::with_uri_str(&url).await.unwrap().database(&name);
        Self { database, view }
    }

    pub(crate) async fn insert(&self, collection: &str, document: Document) {
        self.database.collection(collection).insert_one(document).await.unwrap();
    }
}
