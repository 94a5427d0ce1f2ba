//! The metrics of projections. Each has the label `projection`.

use std::time::Duration;

use platform::telemetry::describe as describe_all;

const EVENTS_TOTAL: &str = "ledger_projection_events_total";
const BATCHES_TOTAL: &str = "ledger_projection_batches_total";
const FAULTS_TOTAL: &str = "ledger_projection_faults_total";
const FOLD_SECONDS: &str = "ledger_projection_fold_seconds";
const LAG_EVENTS: &str = "ledger_projection_lag_events";
const STALLED_SECONDS: &str = "ledger_projection_stalled_seconds";
const SEQUENCE: &str = "ledger_projection_sequence";
const GENERATION: &str = "ledger_projection_generation";

/// Describes every metric, at the service's start.
pub fn describe() {
    describe_all::counters(&[
        (EVENTS_TOTAL, "Events folded and made durable."),
        (BATCHES_TOTAL, "Batches folded and made durable."),
        (FAULTS_TOTAL, "Times that a projection had to stop and try again."),
    ]);
    describe_all::durations(&[(FOLD_SECONDS, "Time to fold one batch and make it durable.")]);
    describe_all::gauges(&[
        (LAG_EVENTS, "Events in the ledger that are not in the view yet."),
        (STALLED_SECONDS, "Time since the view last moved, 0 while it is level with the ledger."),
        (SEQUENCE, "The last event in the view."),
        (GENERATION, "The generation of the view that readers see."),
    ]);
}

pub(crate) fn folded(projection: &'static str, events: usize, took: Duration) {
    metrics::counter!(EVENTS_TOTAL, "projection" => projection).increment(events as u64);
    metrics::counter!(BATCHES_TOTAL, "projection" => projection).increment(1);
    metrics::histogram!(FOLD_SECONDS, "projection" => projection).record(took.as_secs_f64());
}

pub(crate) fn fault(projection: &'static str) {
    metrics::counter!(FAULTS_TOTAL, "projection" => projection).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and 2^53 events never come")]
pub(crate) fn stands(projection: &'static str, generation: i32, sequence: u64) {
    metrics::gauge!(SEQUENCE, "projection" => projection).set(sequence as f64);
    metrics::gauge!(GENERATION, "projection" => projection).set(f64::from(generation));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and 2^53 events never come")]
pub(crate) fn lag(projection: &'static str, events: u64, stalled: Duration) {
    metrics::gauge!(LAG_EVENTS, "projection" => projection).set(events as f64);
    metrics::gauge!(STALLED_SECONDS, "projection" => projection).set(stalled.as_secs_f64());
}
