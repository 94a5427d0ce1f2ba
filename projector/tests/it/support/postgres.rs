//! A fresh PostgreSQL database.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use events::{Fold, Recorded, SubmissionId};
use projector::results::{ResultsProjection, States};
use views::results::ResultsWriter;
use views::results::testing::ResultsDatabase;
use views::testing::sqlx::PgPool;

use super::history::replay;
use super::view::View;

/// A database of a test's own, with the schema in it.
pub(crate) struct Database {
    pub(crate) projection: ResultsProjection,
    pub(crate) pool: PgPool,
    database: ResultsDatabase,
}

impl Database {
    /// Makes it without a schema.
    pub(crate) async fn empty() -> Self {
        let database = ResultsDatabase::empty().await;
        Self { projection: projection(&database.url()), pool: database.pool.clone(), database }
    }

    /// Returns the address of the database.
    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// Reads every submission as readers see it, in one snapshot.
    pub(crate) async fn visible(&self) -> BTreeMap<SubmissionId, Fold> {
        self.database.visible().await
    }
}

impl View for Database {
    type Projection = ResultsProjection;

    async fn fresh() -> Self {
        let database = Self::empty().await;
        database.projection.writer().migrate().await.unwrap();
        database
    }

    fn projection(&self) -> &ResultsProjection {
        &self.projection
    }

    async fn another_projection(&self) -> ResultsProjection {
        projection(&self.url())
    }

    fn address() -> SocketAddr {
        ResultsDatabase::server_address()
    }

    async fn projection_by(&self, address: SocketAddr) -> ResultsProjection {
        projection(&self.database.url_by(address))
    }

    async fn assert_is_fold_of(&self, history: &[Recorded]) {
        let expected = if history.is_empty() { States::new() } else { replay(history) };
        let mut everything = self.visible().await;
        everything.extend(self.database.unaccepted().await);
        assert_same(&everything, &expected);
    }

    async fn count(&self, generation: i32) -> u64 {
        self.database.count(generation).await
    }

    async fn remove(self) {
        self.database.remove().await;
    }
}

fn projection(url: &str) -> ResultsProjection {
    ResultsProjection::new(ResultsWriter::connect_lazy(url).unwrap())
}

/// Compares states one by one, so that a difference can be read.
fn assert_same(seen: &States, expected: &States) {
    for (id, fold) in expected {
        assert_eq!(seen.get(id), Some(fold), "submission {id}");
    }
    assert_eq!(seen.len(), expected.len(), "submissions that have no event");
}
