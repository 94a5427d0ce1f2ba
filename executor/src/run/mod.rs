//! What is to be run, and what to make of what happened: plans, checkers, verdicts, groups of results, summaries.
//! Pure, but for `perform`, which drives a cell by a plan. Keeps out the ledger and the queue.

pub mod checkers;
pub(crate) mod contents;
pub mod grouping;
pub mod outputs;
pub mod perform;
pub mod plan;
pub mod tally;
pub mod verdict;
