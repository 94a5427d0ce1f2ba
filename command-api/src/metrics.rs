//! The names of this service's own metrics, described at start. The frame around the router has its own.

use events::Lane;
use ledger::Usage;
use platform::telemetry::describe;

const ACCEPTED: &str = "ledger_submissions_accepted_total";
const REPEATED: &str = "ledger_submissions_repeated_total";
const CANCELLATIONS: &str = "ledger_cancellations_requested_total";
const STREAM_BYTES: &str = "ledger_stream_bytes";
const STREAM_BYTES_MAX: &str = "ledger_stream_bytes_max";
const STREAM_MESSAGES: &str = "ledger_stream_messages";

/// Describes them.
pub fn describe() {
    describe::counters(&[
        (ACCEPTED, "New submissions whose accepted event is in the ledger, by lane."),
        (REPEATED, "Requests that an Idempotency-Key showed to be retries."),
        (CANCELLATIONS, "Cancellations requested."),
    ]);
    describe::gauges(&[
        (STREAM_BYTES, "Bytes in the ledger's stream."),
        (STREAM_BYTES_MAX, "Bytes that the ledger's stream may hold."),
        (STREAM_MESSAGES, "Messages in the ledger's stream."),
    ]);
}

pub(crate) fn accepted(lane: Lane) {
    metrics::counter!(ACCEPTED, "lane" => lane.as_str()).increment(1);
}

pub(crate) fn repeated() {
    metrics::counter!(REPEATED).increment(1);
}

pub(crate) fn cancellation_requested() {
    metrics::counter!(CANCELLATIONS).increment(1);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; a stream of 8 PiB is not in sight"
)]
pub(crate) fn stream_usage(usage: &Usage) {
    metrics::gauge!(STREAM_BYTES).set(usage.bytes as f64);
    metrics::gauge!(STREAM_BYTES_MAX).set(usage.bytes_max as f64);
    metrics::gauge!(STREAM_MESSAGES).set(usage.messages as f64);
}
