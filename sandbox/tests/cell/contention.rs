//! Time that others took is not the program's; time that it took from itself is.

use std::thread;

use sandbox::protocol::{ExceededLimit, StageExit, StageLimits, StageReport};

use crate::support::{Cell, LIMITS};

/// A program that takes so much processor time, in seconds.
fn burn(seconds: &str) -> String {
    format!("import time\nwhile time.process_time() < {seconds}: pass")
}

/// Runs one program in several cells on one processor at once.
fn run_together(program: &str, cells: usize, limits: StageLimits) -> Vec<StageReport> {
    let mut cells: Vec<Cell> =
        (0..cells).map(|_| Cell::start_with(&["--cpuset-cpus", "0"])).collect();
    thread::scope(|scope| {
        let runs: Vec<_> = cells
            .iter_mut()
            .map(|cell| scope.spawn(|| cell.run(&["python3", "-c", program], "", limits)))
            .collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect()
    })
}

#[test]
fn a_program_that_others_hold_up_is_not_stopped_by_the_clock() {
    let limits = StageLimits { wall_time_ms: 800, ..LIMITS };
    let reports = run_together(&burn("0.4"), 4, limits);
    for report in &reports {
        assert_eq!((report.stopped, report.exit), (None, StageExit::Code(0)), "{report:?}");
        let usage = report.usage;
        assert!(usage.discounted_us + usage.cpu_us <= usage.wall_us + 20_000, "{usage:?}");
    }
    // Together they need 1.6 s, so one of them at least took longer than its limit.
    assert!(reports.iter().any(|report| report.usage.wall_us > 800_000), "{reports:?}");
}

#[test]
fn a_program_of_many_short_processes_is_not_stopped_by_the_clock_either() {
    let limits = StageLimits { wall_time_ms: 1_000, ..LIMITS };
    let program = "import os\nfor _ in range(150):\n  if os.fork() == 0: os._exit(sum(range(20000)) % 2)\n  os.wait()";
    let reports = run_together(program, 6, limits);
    assert!(reports.iter().all(|report| report.stopped.is_none()), "{reports:?}");
}

#[test]
fn a_sleeper_beside_busy_programs_is_stopped_at_its_limit() {
    let limits = StageLimits { wall_time_ms: 500, ..LIMITS };
    let sleeper = "import time\ntime.sleep(100)";
    for report in run_together(sleeper, 4, limits) {
        assert_eq!(report.stopped, Some(ExceededLimit::WallTime), "{report:?}");
        // Its start may have to wait, its sleep does not.
        assert!(report.usage.discounted_us < 400_000, "{:?}", report.usage);
    }
}

#[test]
fn a_program_that_waits_for_its_own_processes_is_stopped() {
    let limits = StageLimits { wall_time_ms: 1_000, ..LIMITS };
    // Two seconds of work for one processor.
    let program = format!("import os\nfor _ in range(3): os.fork()\n{}", burn("0.25"));
    let report = run_together(&program, 1, limits).remove(0);
    assert_eq!(report.stopped, Some(ExceededLimit::WallTime), "{report:?}");
}

#[test]
fn a_program_that_its_own_quota_holds_up_is_stopped() {
    let limits = StageLimits { wall_time_ms: 1_000, ..LIMITS };
    let mut cell = Cell::start_with(&["--cpus", "0.25"]);
    let report = cell.run(&["python3", "-c", &burn("0.5")], "", limits);
    assert_eq!(report.stopped, Some(ExceededLimit::WallTime), "{report:?}");
}
