//! What a projection is to the code that runs or rebuilds it: a store, and a way to move its view
//! forward.

use std::time::Duration;

use async_trait::async_trait;
use views::error::WriteError;
use views::generation::{Audience, Position, ViewStore};

use crate::batch::EventBatch;

/// How many events are folded in one step by the running service.
pub const BATCH_EVENTS_MAX: usize = 500;
/// How many bytes of payload are folded in one step.
// The bound on memory: one event may be a megabyte, so a bound on their number is not enough.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long the running service waits for more events to fold in one step.
// Each step costs a durable write, and all events of a short program come within this time.
pub const BATCH_TIME_MAX: Duration = Duration::from_millis(50);

/// A view that can be folded from the ledger, one batch after the other.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Returns the view's store.
    fn store(&self) -> &dyn ViewStore;

    /// Folds `batch` into a generation and makes it durable. [`WriteError::Moved`] if the
    /// generation does not stand at `at` any more.
    async fn fold(
        &self,
        audience: Audience,
        at: Position,
        batch: &EventBatch,
    ) -> Result<Position, WriteError>;
}
