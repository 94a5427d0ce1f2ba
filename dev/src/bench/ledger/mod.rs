//! `cargo dev bench ledger`: the way of events alone, without HTTP and cells. How many submissions
//! a second the ledger takes while both views follow, how fast each view is rebuilt, and with
//! `--growth` what grows with the ledger.

mod growth;
mod measured;
mod throughput;

use anyhow::Result;
use clap::Args;

use crate::interrupt;
use crate::lock::Lock;
use crate::paths::Layout;
use crate::stack;

/// How much is appended, and what is asked of it.
#[derive(Debug, Args)]
pub(super) struct LedgerOptions {
    /// Submissions that are appended, of three events each
    #[arg(long, default_value_t = 50_000)]
    submissions: u64,
    /// Submissions that are written at once
    #[arg(long, default_value_t = 64)]
    writers: u64,
    /// Users who submit in turn
    #[arg(long, default_value_t = 200)]
    principals: u64,
    /// Let the ledger grow to each of these numbers of submissions, and say what has grown
    #[arg(long, value_name = "COUNT", value_delimiter = ',', num_args = 0..)]
    #[arg(default_missing_values = ["10000", "100000", "1000000"], conflicts_with = "submissions")]
    growth: Option<Vec<u64>>,
}

/// Measures release builds on a topology of its own, which is started empty, and deleted at the
/// end.
pub(super) fn run(layout: &Layout, options: &LedgerOptions) -> Result<()> {
    let layout = Layout::new(&layout.root, &layout.dir.join("bench-ledger"));
    let _lock = Lock::take(&layout)?;
    // What a run has left that was cut off would be measured, too.
    remove(&layout)?;
    let done = measured::bring_up(layout.clone()).and_then(|site| match &options.growth {
        Some(counts) => growth::measure(&site, options, counts),
        None => throughput::measure(&site, options),
    });
    // The Ctrl-C that ended the measurement would also end the stop.
    interrupt::take();
    let removed = remove(&layout);
    done?;
    removed
}

fn remove(layout: &Layout) -> Result<()> {
    stack::stop(layout)?;
    stack::wipe(layout)
}
