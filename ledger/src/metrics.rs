//! The names of this crate's metrics. Whoever serves them describes and exports them.

use std::time::Duration;

/// Time from offering an event to knowing its place.
pub(crate) const APPEND_SECONDS: &str = "ledger_append_seconds";
/// Offers that had to be repeated.
pub(crate) const RETRIES: &str = "ledger_append_retries_total";
/// Offers whose answer never came.
pub(crate) const UNKNOWN: &str = "ledger_append_unknown_total";
/// Events that another writer's event was in the way of.
pub(crate) const CONFLICTS: &str = "ledger_append_conflicts_total";
/// Followers that had to begin anew.
pub(crate) const FOLLOW_RESTARTS: &str = "ledger_follow_restarts_total";

pub(crate) fn appended(took: Duration) {
    metrics::histogram!(APPEND_SECONDS).record(took);
}

pub(crate) fn retried() {
    metrics::counter!(RETRIES).increment(1);
}

pub(crate) fn unknown() {
    metrics::counter!(UNKNOWN).increment(1);
}

pub(crate) fn conflicted() {
    metrics::counter!(CONFLICTS).increment(1);
}

pub(crate) fn follow_restarted() {
    metrics::counter!(FOLLOW_RESTARTS).increment(1);
}
