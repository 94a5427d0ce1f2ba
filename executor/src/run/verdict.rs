//! From what a cell reports to what the ledger says: exits, limits, usage and verdicts. Pure.

use events::{Exit, StopCause, Usage, Verdict};
use sandbox::protocol::{self, StageReport, Stop};

/// Returns the verdict that a run earns by the way it ended; nothing if it ended well and its output decides.
pub fn of_end(report: &StageReport) -> Option<Verdict> {
    match (report.stopped, report.exit) {
        (Some(Stop::CpuTime | Stop::WallTime), _) => Some(Verdict::TimeLimit),
        (Some(Stop::Memory), _) => Some(Verdict::MemoryLimit),
        (Some(Stop::Output), _) => Some(Verdict::OutputLimit),
        (None, protocol::Exit::Code(0)) => None,
        (None, protocol::Exit::Code(_) | protocol::Exit::Signal(_)) => Some(Verdict::RuntimeError),
    }
}

/// Tells whether a compiler has left something to run.
pub fn compiled_well(report: &StageReport) -> bool {
    of_end(report).is_none()
}

/// Returns how a program ended.
pub const fn exit(exit: protocol::Exit) -> Exit {
    match exit {
        protocol::Exit::Code(code) => Exit::Code(code),
        protocol::Exit::Signal(signal) => Exit::Signal(signal),
    }
}

/// Returns the limit that stopped a program.
pub const fn stop_cause(stop: Stop) -> StopCause {
    match stop {
        Stop::CpuTime => StopCause::CpuTime,
        Stop::WallTime => StopCause::WallTime,
        Stop::Memory => StopCause::Memory,
        Stop::Output => StopCause::Output,
    }
}

/// Returns what a program used.
pub const fn usage(usage: protocol::Usage) -> Usage {
    let protocol::Usage { cpu_us, wall_us, memory_peak_kib } = usage;
    Usage { cpu_us, wall_us, memory_kib: memory_peak_kib }
}

/// Adds a run to what several runs used together: the time of all, the most memory of any.
pub fn add_usage(all: Usage, one: Usage) -> Usage {
    Usage {
        cpu_us: all.cpu_us.saturating_add(one.cpu_us),
        wall_us: all.wall_us.saturating_add(one.wall_us),
        memory_kib: all.memory_kib.max(one.memory_kib),
    }
}

#[cfg(test)]
mod tests {
    use sandbox::protocol::Captured;

    use super::*;

    fn report(exit: protocol::Exit, stopped: Option<Stop>) -> StageReport {
        StageReport {
            exit,
            stopped,
            usage: protocol::Usage::default(),
            stdout: Captured::default(),
            stderr: Captured::default(),
        }
    }

    #[test]
    fn each_way_to_end_has_its_verdict() {
        use protocol::Exit::{Code, Signal};
        let table = [
            (Code(0), None, None),
            (Code(1), None, Some(Verdict::RuntimeError)),
            (Signal(11), None, Some(Verdict::RuntimeError)),
            (Signal(9), Some(Stop::CpuTime), Some(Verdict::TimeLimit)),
            (Signal(9), Some(Stop::WallTime), Some(Verdict::TimeLimit)),
            (Signal(9), Some(Stop::Memory), Some(Verdict::MemoryLimit)),
            (Signal(9), Some(Stop::Output), Some(Verdict::OutputLimit)),
            // A limit that was broken at the very end counts, however well the program ended.
            (Code(0), Some(Stop::Memory), Some(Verdict::MemoryLimit)),
        ];
        for (exit, stopped, verdict) in table {
            assert_eq!(of_end(&report(exit, stopped)), verdict, "{exit:?} {stopped:?}");
        }
    }

    #[test]
    fn usage_of_several_runs_adds_time_and_takes_the_most_memory() {
        let one = Usage { cpu_us: 10, wall_us: 20, memory_kib: 300 };
        let other = Usage { cpu_us: 1, wall_us: 2, memory_kib: 100 };
        assert_eq!(add_usage(one, other), Usage { cpu_us: 11, wall_us: 22, memory_kib: 300 });
    }
}
