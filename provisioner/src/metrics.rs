//! The provisioner's metrics.

platform::declare_metrics! {
    counters {
        CHECKS_FAILED_TOTAL = "ledger_provision_checks_failed_total":
            "Checks after which not everything on NATS was as it must be.",
    }
}

/// Shows the metrics before the first check fails.
pub(crate) fn begin() {
    metrics::counter!(CHECKS_FAILED_TOTAL).increment(0);
}

pub(crate) fn check_failed() {
    metrics::counter!(CHECKS_FAILED_TOTAL).increment(1);
}
