//! The projection `progress`: what each user has done, as MongoDB documents. Their shapes: `migrations/progress_v1.md`.
//!
//! No transaction binds the documents together. Each names the last event folded into it and skips what it has; and
//! they are written in an order in which a crash at any point loses nothing: views, then the memory of submissions
//! that the views' facts were derived from, then the checkpoint.

mod collection;
mod fact;
mod fold;
mod generations;
mod key;
mod moment;
mod pointer;
mod recent;
mod solved;
mod store;
mod streak;
mod tally;
mod text;
mod tracked;
mod view;

pub use collection::Guarded;
pub use fact::{Change, Fact, Points};
pub use fold::{Derived, Viewed, Views, derive, view};
pub use key::{ProgressKey, SolvedKey, TrackedKey};
pub use moment::Moment;
pub use recent::{RECENT_MAX, Recent};
pub use solved::Solved;
pub use store::ProgressStore;
pub use streak::Streak;
pub use tally::{ByLane, Verdicts};
pub use tracked::Tracked;
pub use view::{Progress, SolvedTotals};
