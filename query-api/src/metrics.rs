//! The names of this service's own metrics, described at the start. The middleware has its own.

platform::declare_metrics! {
    counters {
        READS = "ledger_submission_reads_total":
            "Single submissions read, by where the answer came from: the view, or a fold of the ledger.",
    }
    gauges {
        WAITING = "ledger_submission_waiters": "Requests that wait for a submission to change.",
    }
}

pub(crate) fn read_from(source: &'static str) {
    metrics::counter!(READS, "source" => source).increment(1);
}

pub(crate) fn waiting() -> impl Drop {
    // A guard, since a client that hangs up drops the request in the middle of its wait.
    metrics::gauge!(WAITING).increment(1.0);
    WaitingGauge
}

struct WaitingGauge;

impl Drop for WaitingGauge {
    fn drop(&mut self) {
        metrics::gauge!(WAITING).decrement(1.0);
    }
}
