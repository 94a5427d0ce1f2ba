//! A fresh MongoDB database.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use events::{Recorded, SubmissionId, UserId};
use futures::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::{Document, RawDocumentBuf, deserialize_from_slice, doc};
use projector::progress::{
    Guarded, Progress, ProgressStore, Solved, Tracked, Viewed, Views, derive, view,
};
use serde::de::DeserializeOwned;

use super::history::batch;
use super::view::View;
use super::{fresh_name, variable};

/// A database of a test's own.
pub(crate) struct Database {
    pub(crate) projection: ProgressStore,
    pub(crate) documents: mongodb::Database,
}

/// Every document of the live generation, which is taken out of them so that generations compare.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Visible {
    pub(crate) progress: BTreeMap<UserId, Progress>,
    pub(crate) solved: BTreeMap<(UserId, events::Digest), Solved>,
    pub(crate) tracked: BTreeMap<SubmissionId, Tracked>,
}

impl Visible {
    /// What the pure fold makes of a history.
    fn of(history: &[Recorded]) -> Self {
        let derived = derive(0, &BTreeMap::new(), &batch(history));
        let Views { progress, solved } = view(0, Views::default(), &derived.facts);
        assert_eq!(Viewed::of(&derived.facts).users.len(), progress.len());
        Self { progress, solved, tracked: derived.tracked }
    }
}

impl Database {
    /// Reads the pointer.
    pub(crate) async fn pointer(&self) -> Document {
        let pointers = self.documents.collection::<Document>("projections");
        pointers.find_one(doc! {"_id": "progress"}).await.unwrap().unwrap()
    }

    /// Reads the live generation. Only for when nothing writes.
    pub(crate) async fn visible(&self) -> Visible {
        let generation = self.pointer().await.get_i32("generation").unwrap();
        let progress = self.all::<Progress>(generation).await.into_iter().map(|mut it| {
            it.key.generation = 0;
            (it.key.principal.clone(), it)
        });
        let solved = self.all::<Solved>(generation).await.into_iter().map(|mut it| {
            it.key.generation = 0;
            ((it.key.principal.clone(), it.key.suite_sha256), it)
        });
        let tracked = self.all::<Tracked>(generation).await.into_iter().map(|mut it| {
            it.key.generation = 0;
            (it.submission(), it)
        });
        Visible {
            progress: progress.collect(),
            solved: solved.collect(),
            tracked: tracked.collect(),
        }
    }

    /// Reads one user's progress as a reader does, by the rule in `migrations/progress_v1.md`.
    pub(crate) async fn read(&self, principal: &str) -> Option<Progress> {
        let collection = self.documents.collection::<RawDocumentBuf>(Progress::COLLECTION);
        let mut generation = self.pointer().await.get_i32("generation").unwrap();
        loop {
            let key = doc! {"_id": {"generation": generation, "principal": principal}};
            if let Some(found) = collection.find_one(key).await.unwrap() {
                return Some(parsed(&found));
            }
            let now = self.pointer().await.get_i32("generation").unwrap();
            if now == generation {
                return None;
            }
            generation = now;
        }
    }

    async fn all<T: Guarded>(&self, generation: i32) -> Vec<T> {
        let found: Vec<RawDocumentBuf> = self
            .documents
            .collection(T::COLLECTION)
            .find(doc! {"_id.generation": generation})
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        found.iter().map(parsed).collect()
    }
}

impl View for Database {
    type Projection = ProgressStore;

    async fn fresh() -> Self {
        let (url, name) = (variable("RUNLEDGER_TEST_MONGO_URL"), fresh_name());
        let projection = ProgressStore::connect_lazy(&url, &name).await.unwrap();
        projection.migrate().await.unwrap();
        let documents = Client::with_uri_str(&url).await.unwrap().database(&name);
        Self { projection, documents }
    }

    fn projection(&self) -> &ProgressStore {
        &self.projection
    }

    async fn another_projection(&self) -> ProgressStore {
        let url = variable("RUNLEDGER_TEST_MONGO_URL");
        ProgressStore::connect_lazy(&url, self.documents.name()).await.unwrap()
    }

    fn address() -> SocketAddr {
        let url = variable("RUNLEDGER_TEST_MONGO_URL");
        let hosts = url.trim_start_matches("mongodb://");
        hosts.split(['/', ',', '?']).next().unwrap().parse().unwrap()
    }

    async fn projection_by(&self, address: SocketAddr) -> ProgressStore {
        // Direct, or the driver would ask the server for its address and go there past the proxy. Impatient about
        // silence, as the driver notices a cut connection only when it uses it.
        let url = format!("mongodb://{address}/?directConnection=true&heartbeatFrequencyMS=500");
        ProgressStore::connect_lazy(&url, self.documents.name()).await.unwrap()
    }

    async fn assert_is_fold_of(&self, history: &[Recorded]) {
        let expected = if history.is_empty() { Visible::default() } else { Visible::of(history) };
        assert_eq!(self.visible().await, expected);
    }

    async fn count(&self, generation: i32) -> u64 {
        let mut count = 0;
        for collection in [Progress::COLLECTION, Solved::COLLECTION, Tracked::COLLECTION] {
            let collection = self.documents.collection::<Document>(collection);
            count += collection.count_documents(doc! {"_id.generation": generation}).await.unwrap();
        }
        count
    }

    async fn remove(self) {
        self.documents.drop().await.unwrap();
    }
}

fn parsed<T: DeserializeOwned>(raw: &RawDocumentBuf) -> T {
    deserialize_from_slice(raw.as_bytes()).unwrap()
}
