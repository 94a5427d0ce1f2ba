//! Tests of the projector: the folds by properties, the stores on real servers, the service against
//! a ledger in memory and a real one.

// Each module says that it is a test, so that clippy lets its helpers unwrap.
#[cfg(test)]
mod contract;
#[cfg(test)]
mod mongo;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod process;
#[cfg(test)]
mod progress_fold;
#[cfg(test)]
mod results_fold;
#[cfg(test)]
mod service;
#[cfg(test)]
mod support;
