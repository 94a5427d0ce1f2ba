//! What is to be run, and what to make of what happened: plans, checkers, verdicts, groups of
//! results, summaries. Pure, but for `program_run`, which drives a cell by a plan, and for
//! `contents` and `outputs`, which fetch and store objects. Keeps out the ledger's events and the
//! queue.

pub mod checkers;
pub mod contents;
pub mod grouping;
pub mod outputs;
pub mod plan;
pub mod program_run;
pub mod tally;
mod time_left;
pub mod verdict;
