//! The projection `results`: submissions, attempts and case results, each row the fold of its
//! events.

mod changes;
mod projection;

pub use changes::{States, changes_between, fold};
pub use projection::ResultsProjection;
