//! What tests ask of a view, whichever store it stands in.

use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use events::Recorded;
use projector::projection::{Position, Projection};

/// Where a view without events stands.
pub(crate) const BEGINNING: Position = Position { generation: 1, sequence: 0 };

/// A view in a database of a test's own.
pub(crate) trait View: Sized {
    type Store: Projection;

    /// Makes it, empty.
    async fn fresh() -> Self;

    /// Returns the store.
    fn store(&self) -> &Self::Store;

    /// Makes another store on it, as another process has it.
    async fn another_store(&self) -> Self::Store;

    /// Returns where the server listens.
    fn address() -> SocketAddr;

    /// Makes another store on it, by another way to the same server.
    async fn store_by(&self, address: SocketAddr) -> Self::Store;

    /// Compares the live generation with what the pure fold makes of a history.
    async fn assert_is_fold_of(&self, history: &[Recorded]);

    /// Counts what is stored of one generation.
    async fn count(&self, generation: i32) -> u64;

    /// Removes the database.
    async fn remove(self);
}

/// Polls a future so many times and then drops it, as a crash at that point does. Tells what it gave if it was done before.
pub(crate) async fn crash_after<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
