//! The names of this service's own metrics, described at start. The frame around the router has its own.

use platform::telemetry::describe;

const READS: &str = "ledger_submission_reads_total";
const WAITING: &str = "ledger_submission_waiters";

/// Describes them.
pub fn describe() {
    describe::counters(&[(
        READS,
        "Single submissions read, by where the answer came from: the view, or a fold of the ledger.",
    )]);
    describe::gauges(&[(WAITING, "Requests that wait for a submission to change.")]);
}

pub(crate) fn read_from(source: &'static str) {
    metrics::counter!(READS, "source" => source).increment(1);
}

pub(crate) fn waiting() -> impl Drop {
    metrics::gauge!(WAITING).increment(1.0);
    Waiting
}

struct Waiting;

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!(WAITING).decrement(1.0);
    }
}
