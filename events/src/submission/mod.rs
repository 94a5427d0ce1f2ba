//! The submission: its state, and the rules of what may happen to it.
//!
//! `decide` says whether an event may be written, `apply` folds a written event into the state.
//! Both ask `advance` what is legal, so that nothing can be decided that a fold would refuse.

mod apply;
mod decide;
mod lifecycle;
mod rules;
mod state;

pub use apply::apply;
pub use decide::decide;
pub use lifecycle::{Lifecycle, State};
pub use rules::{Rejection, advance};
pub use state::{Attempt, Fold, LostAttempt, Outcome, Submission};
