//! From what a cell reports to what the ledger says: exits, limits, usage and verdicts. Pure.

use events::{Exit, StopCause, Usage, Verdict};
use sandbox::protocol::{ExceededLimit, StageExit, StageReport, StageUsage};

/// Returns the verdict that a run earns by the way it ended; nothing if it ended well and its
/// output decides.
pub fn of_end(report: &StageReport) -> Option<Verdict> {
    match (report.stopped, report.exit) {
        // Before the exit: a limit that was broken at the very end counts, however well the program
        // ended.
        (Some(ExceededLimit::CpuTime | ExceededLimit::WallTime), _) => Some(Verdict::TimeLimit),
        (Some(ExceededLimit::Memory), _) => Some(Verdict::MemoryLimit),
        (Some(ExceededLimit::Output), _) => Some(Verdict::OutputLimit),
        (None, StageExit::Code(0)) => None,
        (None, StageExit::Code(_) | StageExit::Signal(_)) => Some(Verdict::RuntimeError),
    }
}

/// Tells whether a compiler has left something to run.
pub fn compiled_well(report: &StageReport) -> bool {
    of_end(report).is_none()
}

/// Returns how a program ended.
pub const fn exit(exit: StageExit) -> Exit {
    match exit {
        StageExit::Code(code) => Exit::Code(code),
        StageExit::Signal(signal) => Exit::Signal(signal),
    }
}

/// Returns the limit that stopped a program.
pub const fn stop_cause(stop: ExceededLimit) -> StopCause {
    match stop {
        ExceededLimit::CpuTime => StopCause::CpuTime,
        ExceededLimit::WallTime => StopCause::WallTime,
        ExceededLimit::Memory => StopCause::Memory,
        ExceededLimit::Output => StopCause::Output,
    }
}

/// Returns what a program used.
pub const fn usage(usage: StageUsage) -> Usage {
    let StageUsage { cpu_us, wall_us, discounted_us, memory_peak_kib } = usage;
    Usage { cpu_us, wall_us, discounted_us, memory_kib: memory_peak_kib }
}

/// Adds a run to what several runs used together: the time of all, the most memory of any.
pub fn add_usage(all: Usage, one: Usage) -> Usage {
    Usage {
        cpu_us: all.cpu_us.saturating_add(one.cpu_us),
        wall_us: all.wall_us.saturating_add(one.wall_us),
        discounted_us: all.discounted_us.saturating_add(one.discounted_us),
        memory_kib: all.memory_kib.max(one.memory_kib),
    }
}

#[cfg(test)]
mod tests {
    use sandbox::protocol::StageOutput;

    use super::*;

    fn report(exit: StageExit, stopped: Option<ExceededLimit>) -> StageReport {
        StageReport {
            exit,
            stopped,
            usage: StageUsage::default(),
            stdout: StageOutput::default(),
            stderr: StageOutput::default(),
        }
    }

    #[test]
    fn each_way_to_end_has_its_verdict() {
        use StageExit::{Code, Signal};
        let table = [
            (Code(0), None, None),
            (Code(1), None, Some(Verdict::RuntimeError)),
            (Signal(11), None, Some(Verdict::RuntimeError)),
            (Signal(9), Some(ExceededLimit::CpuTime), Some(Verdict::TimeLimit)),
            (Signal(9), Some(ExceededLimit::WallTime), Some(Verdict::TimeLimit)),
            (Signal(9), Some(ExceededLimit::Memory), Some(Verdict::MemoryLimit)),
            (Signal(9), Some(ExceededLimit::Output), Some(Verdict::OutputLimit)),
            // A limit that was broken at the very end counts, however well the program ended.
            (Code(0), Some(ExceededLimit::Memory), Some(Verdict::MemoryLimit)),
        ];
        for (exit, stopped, verdict) in table {
            assert_eq!(of_end(&report(exit, stopped)), verdict, "{exit:?} {stopped:?}");
        }
    }

    #[test]
    fn usage_of_several_runs_adds_time_and_takes_the_most_memory() {
        let used = |cpu_us, wall_us, discounted_us, memory_kib| Usage {
            cpu_us,
            wall_us,
            discounted_us,
            memory_kib,
        };
        let both = add_usage(used(10, 20, 5, 300), used(1, 2, 1, 100));
        assert_eq!(both, used(11, 22, 6, 300));
    }
}
