//! A fresh MongoDB database.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use events::{Digest, LedgerPosition, Recorded, SubmissionId, UserId};
use platform::clock::SystemClock;
use projector::progress::{ProgressProjection, Viewed, Views, derive, view};
use views::progress::testing::ProgressDatabase;
use views::progress::{
    ProgressReader, ProgressView as _, ProgressWriter, SolvedSuite, TrackedSubmission, UserProgress,
};
use views::testing::mongodb::bson::{Document, doc};

use super::history::batch;
use super::view::View;

/// A database of a test's own.
pub(crate) struct Database {
    pub(crate) projection: ProgressProjection,
    pub(crate) documents: views::testing::mongodb::Database,
    database: ProgressDatabase,
}

/// Every document of the live generation, which is taken out of them so that generations compare.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Visible {
    pub(crate) progress: BTreeMap<UserId, UserProgress>,
    pub(crate) solved: BTreeMap<(UserId, Digest), SolvedSuite>,
    pub(crate) tracked: BTreeMap<SubmissionId, TrackedSubmission>,
}

impl Visible {
    /// What the pure fold makes of a history.
    fn of(history: &[Recorded]) -> Self {
        let derived = derive(0, &BTreeMap::new(), &batch(history));
        let Views { progress, solved } = view(0, Views::default(), &derived.facts);
        assert_eq!(Viewed::of(&derived.facts).users.len(), progress.len());
        let mut tracked = derived.tracked;
        tracked.retain(|_, it| !it.state.is_terminal());
        Self { progress, solved, tracked }
    }
}

impl Database {
    /// Reads the pointer.
    pub(crate) async fn pointer(&self) -> Document {
        self.database.pointer().await
    }

    /// Leaves a batch up to `last` as a crash in the middle of it does: documents may have it, and
    /// the checkpoint does not.
    pub(crate) async fn announce(&self, last: LedgerPosition) {
        let sequence = i64::try_from(last.sequence).unwrap();
        let entry = doc! {"ledger": last.ledger.to_string(), "digest": last.digest.to_string()};
        let announced = doc! {"$set": {"reserved": sequence, "reserved_entry": entry}};
        let pointers = self.documents.collection::<Document>("projections");
        pointers.update_one(doc! {}, announced).await.unwrap();
    }

    /// Reads the live generation. Only for when nothing writes.
    pub(crate) async fn visible(&self) -> Visible {
        let generation = self.pointer().await.get_i32("generation").unwrap();
        let progress = self.database.all::<UserProgress>(generation).await;
        let progress = progress.into_iter().map(|mut it| {
            it.key.generation = 0;
            (it.key.principal.clone(), it)
        });
        let solved = self.database.all::<SolvedSuite>(generation).await;
        let solved = solved.into_iter().map(|mut it| {
            it.key.generation = 0;
            ((it.key.principal.clone(), it.key.suite_sha256), it)
        });
        let tracked = self.database.all::<TrackedSubmission>(generation).await;
        // What has ended may be gone, at a time of the server's choice.
        let tracked = tracked.into_iter().filter(|it| it.ended_at.is_none()).map(|mut it| {
            it.key.generation = 0;
            (it.key.submission, it)
        });
        Visible {
            progress: progress.collect(),
            solved: solved.collect(),
            tracked: tracked.collect(),
        }
    }

    /// Makes a reader, which reads as query-api does.
    pub(crate) async fn reader(&self) -> ProgressReader {
        ProgressReader::open(&self.database.url, self.documents.name()).await.unwrap()
    }
}

/// Reads one user's progress.
pub(crate) async fn read(reader: &ProgressReader, user: &str) -> Option<UserProgress> {
    reader.find_user(&user.parse().unwrap()).await.unwrap()
}

impl View for Database {
    type Projection = ProgressProjection;

    async fn fresh() -> Self {
        let database = ProgressDatabase::fresh().await;
        let documents = database.documents.clone();
        let projection = projection(&database.url, documents.name()).await;
        projection.writer().migrate().await.unwrap();
        Self { projection, documents, database }
    }

    fn projection(&self) -> &ProgressProjection {
        &self.projection
    }

    async fn another_projection(&self) -> ProgressProjection {
        projection(&self.database.url, self.documents.name()).await
    }

    fn address() -> SocketAddr {
        ProgressDatabase::server_address()
    }

    async fn projection_by(&self, address: SocketAddr) -> ProgressProjection {
        // Direct, or the driver would ask the server for its address and go there past the proxy.
        // Impatient about silence, as the driver notices a cut connection only when it uses it.
        let url = format!("mongodb://{address}/?directConnection=true&heartbeatFrequencyMS=500");
        projection(&url, self.documents.name()).await
    }

    async fn assert_is_fold_of(&self, history: &[Recorded]) {
        let expected = if history.is_empty() { Visible::default() } else { Visible::of(history) };
        assert_eq!(self.visible().await, expected);
    }

    async fn count(&self, generation: i32) -> u64 {
        self.database.count(generation).await
    }

    async fn remove(self) {
        self.database.remove().await;
    }
}

async fn projection(url: &str, database: &str) -> ProgressProjection {
    let writer = ProgressWriter::connect_lazy(url, database).await.unwrap();
    ProgressProjection::new(writer, Arc::new(SystemClock))
}
