//! How many processors of the machine are idle, by the kernel's own count of all processes.

use std::fs;

/// The kernel's count.
const STAT: &str = "/proc/stat";
/// From this share of idle ticks on, a processor counts as idle.
const IDLE_SHARE_MIN: f64 = 0.7;

/// The counts since the machine was started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessorTimes {
    idle: u64,
    all: u64,
    processors: usize,
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
        let processors = lines.take_while(|line| line.starts_with("cpu")).count();
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, all: ticks.iter().sum(), processors })
    }

    /// Returns how many processors were idle since an earlier count.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few ticks, times a few processors"
    )]
    pub(super) fn idle_since(self, before: Self) -> usize {
        let all = self.all.saturating_sub(before.all).max(1);
        let idle = self.idle.saturating_sub(before.idle);
        let idle_processors = idle as f64 / all as f64 * self.processors as f64;
        (idle_processors + 1.0 - IDLE_SHARE_MIN).floor() as usize
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
    fn idle_processors_are_counted_whole() {
        let before = times("100 0 50 1000 10 0 0 0 0 0");
        for (now, idle) in [
            ("100 0 50 1010 10 0 0 0 0 0", 2),
            ("105 0 50 1005 10 0 0 0 0 0", 1),
            ("103 0 50 1003 14 0 0 0 0 0", 1),
            ("108 0 50 1002 10 0 0 0 0 0", 0),
            ("100 0 50 1000 10 0 0 10 0 0", 0),
            ("100 0 50 1000 10 0 0 0 0 0", 0),
        ] {
            assert_eq!(times(now).idle_since(before), idle, "{now}");
        }
    }

    #[test]
    fn the_kernel_of_this_machine_is_understood() {
        let here = ProcessorTimes::read().unwrap();
        assert!(here.processors >= 1 && here.all > here.idle);
    }
}
