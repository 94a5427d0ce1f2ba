//! Whether the whole machine was short of memory, so that the kernel may have ended a cell that was
//! within its own limit.

use std::fs;

/// The kernel's counters.
const VMSTAT: &str = "/proc/vmstat";
/// How often a process had to free memory of the machine before it got some. A control group that
/// is at its own limit does not count here.
const STALLS: &str = "allocstall_";

/// Returns how often that has happened since the machine was started; nothing where the kernel does
/// not say.
pub(super) fn stalls() -> Option<u64> {
    parse(&fs::read_to_string(VMSTAT).ok()?)
}

fn parse(vmstat: &str) -> Option<u64> {
    let stalls = vmstat.lines().filter(|line| line.starts_with(STALLS));
    stalls.map(|line| line.split_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stalls_of_all_zones_are_added() {
        assert_eq!(parse("pgfree 9\nallocstall_normal 3\nallocstall_movable 4\nx 1\n"), Some(7));
        assert_eq!(parse("allocstall_normal many\n"), None);
        assert!(stalls().is_some(), "the kernel of this machine says it");
    }
}
