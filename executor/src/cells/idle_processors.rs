//! Whether a processor of the machine is idle, by the kernel's own count of all processes.

use std::fs;

/// The kernel's count.
const STAT: &str = "/proc/stat";
/// From this share of one processor's ticks on, in percent, a processor counts as idle. Programs
/// that want a processor all the time leave none. Short ones, which also wait for the ledger, leave
/// a part of one between them.
const IDLE_PERCENT_MIN: u64 = 40;

/// The counts since the machine was started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessorTimes {
    idle: u64,
    all: u64,
    processors: u64,
}

impl ProcessorTimes {
    /// Reads the counts; nothing where the kernel does not show them.
    pub(super) fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string(STAT).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        let mut lines = stat.lines();
        let numbers = lines.next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
        // User, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
        let ticks: Vec<u64> = numbers.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        let processors = lines.take_while(|line| line.starts_with("cpu")).count() as u64;
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, all: ticks.iter().sum(), processors })
    }

    /// Tells whether the idle ticks since an earlier count make up an idle processor.
    pub(super) fn has_idle_since(self, before: Self) -> bool {
        let all = self.all.saturating_sub(before.all).max(1);
        let idle = self.idle.saturating_sub(before.idle);
        idle * self.processors * 100 >= all * IDLE_PERCENT_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(line: &str) -> ProcessorTimes {
        let stat = format!("cpu  {line}\ncpu0 1 0 0\ncpu1 1 0 0\nintr 5\n");
        ProcessorTimes::parse(&stat).unwrap()
    }

    #[test]
    fn idle_ticks_of_all_processors_together_make_up_an_idle_one() {
        let before = times("100 0 50 1000 10 0 0 0 0 0");
        for (now, is_idle) in [
            ("100 0 50 1010 10 0 0 0 0 0", true),
            ("105 0 50 1005 10 0 0 0 0 0", true),
            ("108 0 50 1001 11 0 0 0 0 0", true),
            ("109 0 50 1001 10 0 0 0 0 0", false),
            ("100 0 50 1000 10 0 0 10 0 0", false),
            ("100 0 50 1000 10 0 0 0 0 0", false),
        ] {
            assert_eq!(times(now).has_idle_since(before), is_idle, "{now}");
        }
    }

    #[test]
    fn the_kernel_of_this_machine_is_understood() {
        let here = ProcessorTimes::read().unwrap();
        assert!(here.processors >= 1 && here.all > here.idle);
    }
}
