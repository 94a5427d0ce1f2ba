//! The submission: its state, the commands it takes and the rules between them.
//!
//! `decide` turns a command into events, `apply` folds an event into the state. Both ask [`rules`] what is legal,
//! so that nothing can be decided that a fold would refuse.

mod apply;
mod decide;
mod rules;
mod state;

pub use apply::apply;
pub use decide::{Command, decide};
pub use rules::Rejection;
pub use state::{Attempt, Fold, LostAttempt, Outcome, State, Submission};
