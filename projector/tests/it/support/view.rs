//! What tests ask of a view, whichever store it stands in.

use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use events::Recorded;
use projector::projection::Projection;
use views::generation::{Position, ViewStore};

/// Where a view without events stands.
pub(crate) const BEGINNING: Position = Position { generation: 1, last: None };

/// A view in a database of a test's own.
pub(crate) trait View: Sized {
    type Projection: Projection;

    /// Makes it, empty.
    async fn fresh() -> Self;

    /// Returns the projection.
    fn projection(&self) -> &Self::Projection;

    /// Returns the projection's store.
    fn store(&self) -> &dyn ViewStore {
        self.projection().store()
    }

    /// Makes another projection on it, as another process has it.
    async fn another_projection(&self) -> Self::Projection;

    /// Returns where the server listens.
    fn address() -> SocketAddr;

    /// Makes another projection on it, by another way to the same server.
    async fn projection_by(&self, address: SocketAddr) -> Self::Projection;

    /// Compares the live generation with what the pure fold makes of a history.
    async fn assert_is_fold_of(&self, history: &[Recorded]);

    /// Counts what is stored of one generation.
    async fn count(&self, generation: i32) -> u64;

    /// Removes the database.
    async fn remove(self);
}

/// Polls a future so many times and then drops it, as a crash at that point does. Tells what it
/// gave if it was done before.
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
