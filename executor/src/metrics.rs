//! The executor's metrics: their names, and what each says. Recorded where things happen, named
//! here.

use platform::telemetry::describe as words;

/// Cells that wait to be used, by image.
pub const CELLS_WARM: &str = "ledger_cells_warm";
/// Cells that run a submission.
pub const CELLS_BUSY: &str = "ledger_cells_busy";
/// Cells that were made, by image.
pub const CELLS_MADE: &str = "ledger_cells_made_total";
/// Cells that could not be made, by image.
pub const CELLS_FAILED: &str = "ledger_cells_failed_total";
/// Cells that died while they were warm, by image.
pub const CELLS_DIED_WARM: &str = "ledger_cells_died_warm_total";
/// Containers of dead executors that were removed.
pub const CELLS_REAPED: &str = "ledger_cells_reaped_total";
/// From the engine's first call to the cell's first word.
pub const CELL_START_SECONDS: &str = "ledger_cell_start_seconds";
/// From asking for a cell to having one.
pub const CELL_WAIT_SECONDS: &str = "ledger_cell_wait_seconds";
/// Submissions judged, by language and verdict.
pub const RUNS: &str = "ledger_runs_total";
/// From having a submission to its end, by language.
pub const RUN_SECONDS: &str = "ledger_run_seconds";
/// Attempts declared lost, by reason.
pub const ATTEMPTS_LOST: &str = "ledger_attempts_lost_total";
/// Submissions given up, by class.
pub const SUBMISSIONS_FAILED: &str = "ledger_submissions_failed_total";
/// Submissions cancelled here.
pub const SUBMISSIONS_CANCELLED: &str = "ledger_submissions_cancelled_total";
/// Submissions held by this executor.
pub const SUBMISSIONS_HELD: &str = "ledger_submissions_held";
/// Submissions that wait, by lane and pool.
pub const QUEUE_BACKLOG: &str = "ledger_queue_submissions";
/// From having an event to its standing in the ledger, by type.
pub const APPEND_SECONDS: &str = "ledger_executor_append_seconds";
/// Appends that had to be tried again because the ledger was full or away.
pub const APPENDS_DEFERRED: &str = "ledger_executor_appends_deferred_total";

/// Returns a count as the value of a gauge.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge of more than 2^52 may be off by one, and there is none"
)]
pub(crate) fn gauge_value(count: usize) -> f64 {
    count as f64
}

/// Describes every metric, at the service's start.
pub fn describe() {
    words::gauges(&[
        (CELLS_WARM, "Warm cells, by image."),
        (CELLS_BUSY, "Cells that run a submission."),
        (SUBMISSIONS_HELD, "Submissions held by this executor."),
        (QUEUE_BACKLOG, "Submissions that wait in the queue, by lane and pool."),
    ]);
    words::counters(&[
        (CELLS_MADE, "Cells made, by image."),
        (CELLS_FAILED, "Cells that could not be made, by image."),
        (CELLS_DIED_WARM, "Cells that died while they were warm, by image."),
        (CELLS_REAPED, "Containers of dead executors that were removed."),
        (RUNS, "Submissions judged, by language and verdict."),
        (ATTEMPTS_LOST, "Attempts declared lost, by reason."),
        (SUBMISSIONS_FAILED, "Submissions that the platform could not run, by class."),
        (SUBMISSIONS_CANCELLED, "Cancellations carried out."),
        (APPENDS_DEFERRED, "Appends tried again because the ledger was full or away."),
    ]);
    words::durations(&[
        (CELL_START_SECONDS, "Time to make a cell."),
        (CELL_WAIT_SECONDS, "Time that a submission waited for a cell."),
        (RUN_SECONDS, "Time from having a submission to its end, by language."),
        (APPEND_SECONDS, "Time to append an event, by type."),
    ]);
}
