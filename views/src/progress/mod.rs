//! The view `progress` in MongoDB: what each user has done. The shapes:
//! `migrations/progress_v1.md`.
//!
//! One file for each collection has its documents. Each document names the last event folded into
//! it. No transaction binds documents together; the pointer says which generation readers see, and
//! where it stands.

mod document;
mod field;
mod generations;
mod pointer;
mod reader;
mod solved;
#[cfg(feature = "testing")]
pub mod testing;
mod tracked;
mod users;
mod writer;

pub use document::GuardedDocument;
pub use field::Moment;
pub use reader::{ProgressReader, ProgressView};
pub use solved::{SolvedKey, SolvedSuite};
pub use tracked::{TrackedKey, TrackedSubmission};
pub use users::{
    ByLane, Points, ProgressKey, RecentSubmission, SolvedTotals, Streak, UserProgress,
    VerdictCounts,
};
pub use writer::{ProgressWriter, Written};
