//! Asynchronous code inside of a tool that is not: one request after the other needs one thread.

use anyhow::Result;

/// Runs asynchronous code to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
