//! The names of this crate's metrics. The service that exposes them installs the recorder.

use std::time::Duration;

use crate::error::HistoryDiffers;

const APPEND_SECONDS: &str = "ledger_append_seconds";
const RETRIES: &str = "ledger_append_retries_total";
const UNKNOWN: &str = "ledger_append_unknown_total";
const CONFLICTS: &str = "ledger_append_conflicts_total";
const UNREADABLE: &str = "ledger_queue_unreadable_total";
const QUEUE_FOREIGN: &str = "ledger_queue_foreign_total";
const FOLLOW_RESTARTS: &str = "ledger_follow_restarts_total";
const HISTORY_DIFFERS: &str = "ledger_history_differs_total";
const NOT_DURABLE: &str = "ledger_not_durable";

/// Describes the metrics to the installed recorder. Called once, at a service's start.
pub fn describe_metrics() {
    let seconds = metrics::Unit::Seconds;
    let appended = "Time from offering an event to knowing its place.";
    metrics::describe_histogram!(APPEND_SECONDS, seconds, appended);
    metrics::describe_counter!(RETRIES, "Offers of an event that had to be repeated.");
    metrics::describe_counter!(UNKNOWN, "Offers of an event whose answer never came.");
    metrics::describe_counter!(CONFLICTS, "Events that another writer's event was in the way of.");
    metrics::describe_counter!(UNREADABLE, "Deliveries that this version could not read.");
    let terminated = "Deliveries that were no submission, and were ended for good.";
    metrics::describe_counter!(QUEUE_FOREIGN, terminated);
    metrics::describe_counter!(FOLLOW_RESTARTS, "Followers that had to begin anew.");
    let differs = "Times that the ledger was not the one that was read before, by the difference.";
    metrics::describe_counter!(HISTORY_DIFFERS, differs);
    let not_durable = "1 while a NATS server acknowledges before it syncs, else 0.";
    metrics::describe_gauge!(NOT_DURABLE, not_durable);
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

pub(crate) fn terminated() {
    metrics::counter!(QUEUE_FOREIGN).increment(1);
}

pub(crate) fn follow_restarted() {
    metrics::counter!(FOLLOW_RESTARTS).increment(1);
}

pub(crate) fn history_differs(how: &HistoryDiffers) {
    let difference = match how {
        HistoryDiffers::SetBack { .. } => "set_back",
        HistoryDiffers::Replaced { .. } => "replaced",
        HistoryDiffers::Rewritten { .. } => "rewritten",
        HistoryDiffers::Archived { .. } => "archived",
        HistoryDiffers::NoLedgerId => "no_ledger_id",
    };
    metrics::counter!(HISTORY_DIFFERS, "difference" => difference).increment(1);
}

pub(crate) fn durable(is_durable: bool) {
    metrics::gauge!(NOT_DURABLE).set(if is_durable { 0.0 } else { 1.0 });
}
