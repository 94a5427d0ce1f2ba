//! The names of this crate's metrics. The service that exposes them installs the recorder.

use std::time::Duration;

const APPEND_SECONDS: &str = "ledger_append_seconds";
const RETRIES: &str = "ledger_append_retries_total";
const UNKNOWN: &str = "ledger_append_unknown_total";
const CONFLICTS: &str = "ledger_append_conflicts_total";
const UNREADABLE: &str = "ledger_queue_unreadable_total";
const FOLLOW_RESTARTS: &str = "ledger_follow_restarts_total";

/// Describes the metrics to the installed recorder. Called once, at a service's start.
pub fn describe_metrics() {
    let seconds = metrics::Unit::Seconds;
    let appended = "Time from offering an event to knowing its place.";
    metrics::describe_histogram!(APPEND_SECONDS, seconds, appended);
    metrics::describe_counter!(RETRIES, "Offers of an event that had to be repeated.");
    metrics::describe_counter!(UNKNOWN, "Offers of an event whose answer never came.");
    metrics::describe_counter!(CONFLICTS, "Events that another writer's event was in the way of.");
    metrics::describe_counter!(UNREADABLE, "Deliveries that this version could not read.");
    metrics::describe_counter!(FOLLOW_RESTARTS, "Followers that had to begin anew.");
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

pub(crate) fn unreadable() {
    metrics::counter!(UNREADABLE).increment(1);
}

pub(crate) fn follow_restarted() {
    metrics::counter!(FOLLOW_RESTARTS).increment(1);
}
