//! The names of this crate's metrics. Whoever serves them installs a recorder.

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

/// Describes the metrics to the installed recorder. To be called once, at start.
pub fn describe_metrics() {
    let seconds = metrics::Unit::Seconds;
    let appended = "time from offering an event to knowing its place";
    metrics::describe_histogram!(APPEND_SECONDS, seconds, appended);
    metrics::describe_counter!(RETRIES, "offers of an event that had to be repeated");
    metrics::describe_counter!(UNKNOWN, "offers of an event whose answer never came");
    metrics::describe_counter!(CONFLICTS, "events that another writer's event was in the way of");
    metrics::describe_counter!(FOLLOW_RESTARTS, "followers that had to begin anew");
}

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
