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
        CANCELLATIONS = "ledger_cancellations_requested_total": "Cancellations requested.",
    }
    gauges {
        STREAM_BYTES = "ledger_stream_bytes": "Bytes in the ledger's stream.",
        STREAM_BYTES_MAX = "ledger_stream_bytes_max": "Bytes that the ledger's stream may hold.",
        STREAM_MESSAGES = "ledger_stream_messages": "Messages in the ledger's stream.",
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

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; a stream of 8 PiB is not in sight"
)]
pub(crate) fn stream_usage(usage: &StorageUsage) {
    metrics::gauge!(STREAM_BYTES).set(usage.bytes as f64);
    metrics::gauge!(STREAM_BYTES_MAX).set(usage.bytes_max as f64);
    metrics::gauge!(STREAM_MESSAGES).set(usage.messages as f64);
}
