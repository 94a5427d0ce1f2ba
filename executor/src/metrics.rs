//! The executor's metrics: their names, and what each says. Recorded where things happen, named
//! here.

platform::declare_metrics! {
    gauges {
        CELLS_WARM = "ledger_cells_warm": "Warm cells, by image.",
        CELLS_BUSY = "ledger_cells_busy": "Cells that run a submission.",
        CELLS_STUCK = "ledger_cells_stuck": "Containers that the engine refuses to remove.",
        SUBMISSIONS_HELD = "ledger_submissions_held": "Submissions held by this executor.",
        QUEUE_BACKLOG = "ledger_queue_submissions":
            "Submissions that wait in the queue, by lane, priority and pool.",
        OLDEST_UNSETTLED_SECONDS = "ledger_oldest_unsettled_seconds":
            "Age of the oldest submission that has not ended, by lane and pool: 0 on executors \
             that do not look for forgotten ones.",
    }
    counters {
        CELLS_MADE = "ledger_cells_made_total": "Cells made, by image.",
        CELLS_FAILED = "ledger_cells_failed_total": "Cells that could not be made, by image.",
        CELLS_DIED_WARM = "ledger_cells_died_warm_total":
            "Cells that died while they were warm, by image.",
        CELLS_REAPED = "ledger_cells_reaped_total":
            "Containers of dead executors that were removed.",
        RUNS = "ledger_runs_total": "Submissions judged, by language and verdict.",
        ATTEMPTS_LOST = "ledger_attempts_lost_total": "Attempts declared lost, by reason.",
        SUBMISSIONS_FAILED = "ledger_submissions_failed_total":
            "Submissions that the platform could not run, by class.",
        SUBMISSIONS_NOT_HERE = "ledger_submissions_not_here_total":
            "Deliveries handed on because this executor lacks the language, version or pool.",
        SUBMISSIONS_CANCELLED = "ledger_submissions_cancelled_total": "Cancellations carried out.",
        SUBMISSIONS_RESETTLED = "ledger_submissions_resettled_total":
            "Submissions taken up because they did not end and the queue might have forgotten them.",
        OUTPUTS_CUT = "ledger_outputs_cut_total": "Outputs that were cut for want of room.",
        APPENDS_DEFERRED = "ledger_executor_appends_deferred_total":
            "Appends tried again because the ledger was full or away.",
    }
    durations {
        CELL_START_SECONDS = "ledger_cell_start_seconds": "Time to make a cell.",
        CELL_WAIT_SECONDS = "ledger_cell_wait_seconds":
            "Time that a submission waited for a cell.",
        RUN_SECONDS = "ledger_run_seconds":
            "Time from having a submission to its end, by language.",
        APPEND_SECONDS = "ledger_executor_append_seconds": "Time to append an event, by type.",
    }
}

/// Returns a count as the value of a gauge.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge of more than 2^52 may be off by one, and there is none"
)]
pub(crate) fn gauge_value(count: usize) -> f64 {
    count as f64
}
