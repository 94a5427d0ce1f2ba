//! The names of this service's own metrics, described at start. The frame around the router has its
//! own.

use events::{Lane, Priority};
use ledger::StorageUsage;

platform::declare_metrics! {
    counters {
        ACCEPTED = "ledger_submissions_accepted_total":
            "New submissions whose accepted event is in the ledger, by lane and priority.",
        REPEATED = "ledger_submissions_repeated_total":
            "Requests that an Idempotency-Key showed to be retries.",
        NOT_OFFERED = "ledger_submissions_not_offered_total":
            "Submissions that were refused because no executor had their language.",
        REFUSED = "ledger_submissions_refused_total":
            "Submissions that were refused for want of room, by what is full.",
        CANCELLATIONS = "ledger_cancellations_requested_total": "Cancellations requested.",
    }
    gauges {
        OWED_BYTES = "ledger_owed_bytes":
            "Bytes that the outcomes of accepted submissions may still take in the ledger.",
        STORE_BYTES = "ledger_store_bytes":
            "Bytes in what submissions need room in: the ledger, outputs, sources, tests.",
        STORE_BYTES_MAX = "ledger_store_bytes_max": "Bytes that each of them may hold.",
        STORE_MESSAGES = "ledger_store_messages": "Messages in each of them.",
        STORE_FULL = "ledger_store_full": "1 while submissions that need the store are refused.",
    }
}

pub(crate) fn accepted(lane: Lane, priority: Priority) {
    let labels = [("lane", lane.as_str()), ("priority", priority.as_str())];
    metrics::counter!(ACCEPTED, &labels).increment(1);
}

pub(crate) fn repeated() {
    metrics::counter!(REPEATED).increment(1);
}

pub(crate) fn not_offered() {
    metrics::counter!(NOT_OFFERED).increment(1);
}

pub(crate) fn cancellation_requested() {
    metrics::counter!(CANCELLATIONS).increment(1);
}

pub(crate) fn refused(full: &'static str) {
    metrics::counter!(REFUSED, "full" => full).increment(1);
}

pub(crate) fn owed(bytes: u64) {
    metrics::gauge!(OWED_BYTES).set(value(bytes));
}

pub(crate) fn store_usage(store: &'static str, usage: &StorageUsage, is_full: bool) {
    metrics::gauge!(STORE_BYTES, "store" => store).set(value(usage.bytes));
    metrics::gauge!(STORE_BYTES_MAX, "store" => store).set(value(usage.bytes_max));
    metrics::gauge!(STORE_MESSAGES, "store" => store).set(value(usage.messages));
    metrics::gauge!(STORE_FULL, "store" => store).set(f64::from(u8::from(is_full)));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; a stream of 8 PiB is not in sight"
)]
fn value(number: u64) -> f64 {
    number as f64
}
