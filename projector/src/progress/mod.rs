//! The projection `progress`: what each user has done, as MongoDB documents.
//!
//! No transaction binds the documents together. Each document names the last event folded into it
//! and skips what it has. The order of the writes loses nothing in a crash at any point: views,
//! then the memory of submissions that the views' facts were derived from, then the checkpoint. The
//! server removes the memory of a submission some time after its end.

mod fact;
mod fold;
mod projection;
mod recent;
mod solved;
mod tracked;
mod user;

pub use fact::{Change, Fact};
pub use fold::{Derived, Viewed, Views, derive, view};
pub use projection::ProgressProjection;
pub use recent::RECENT_MAX;
pub use user::fold_into_user;
