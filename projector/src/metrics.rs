//! The metrics of projections, each with the label `projection`, and of the sweep.

use std::time::Duration;

use crate::batch::EventBatch;

platform::declare_metrics! {
    counters {
        EVENTS_TOTAL = "ledger_projection_events_total": "Events folded and made durable.",
        BATCHES_TOTAL = "ledger_projection_batches_total": "Batches folded and made durable.",
        FAULTS_TOTAL = "ledger_projection_faults_total":
            "Times that a projection had to stop and try again.",
        FOREIGN_TOTAL = "ledger_projection_foreign_total":
            "Messages that are no event of ours, and were passed by.",
        SWEPT_TOTAL = "ledger_objects_swept_total":
            "Objects removed that no event names.",
    }
    durations {
        FOLD_SECONDS = "ledger_projection_fold_seconds":
            "Time to fold one batch and make it durable.",
    }
    gauges {
        LAG_EVENTS = "ledger_projection_lag_events":
            "Events in the ledger that are not in the view yet. Below 0 the ledger has lost what the \
             view has.",
        STALLED_SECONDS = "ledger_projection_stalled_seconds":
            "Time since the view last moved, 0 while it is level with the ledger.",
        SEQUENCE = "ledger_projection_sequence": "The last event in the view.",
        GENERATION = "ledger_projection_generation":
            "The generation of the view that readers see.",
    }
}

pub(crate) fn folded(projection: &'static str, batch: &EventBatch, took: Duration) {
    let (events, foreign) = (batch.events().len() as u64, batch.foreign().len() as u64);
    metrics::counter!(EVENTS_TOTAL, "projection" => projection).increment(events);
    metrics::counter!(FOREIGN_TOTAL, "projection" => projection).increment(foreign);
    metrics::counter!(BATCHES_TOTAL, "projection" => projection).increment(1);
    metrics::histogram!(FOLD_SECONDS, "projection" => projection).record(took.as_secs_f64());
}

pub(crate) fn swept(objects: u64) {
    metrics::counter!(SWEPT_TOTAL).increment(objects);
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
pub(crate) fn lag(projection: &'static str, events: i64, stalled: Duration) {
    metrics::gauge!(LAG_EVENTS, "projection" => projection).set(events as f64);
    metrics::gauge!(STALLED_SECONDS, "projection" => projection).set(stalled.as_secs_f64());
}
