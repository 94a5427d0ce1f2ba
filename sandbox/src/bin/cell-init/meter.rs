//! What the cell's control group says of processor time, memory and the out-of-memory killer, in
//! version 1 and version 2 of control groups. A runtime that does not show the files (gVisor)
//! leaves only what `wait4` says, so every figure is optional.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The largest file read here is `memory.stat`, of about 2 KiB.
const FILE_BYTES_MAX: usize = 8 * 1024;

/// The open files. They stay open, so that a reading costs one system call for each.
#[derive(Debug)]
pub(crate) struct Meter {
    cpu: Option<CgroupFile>,
    throttled: Option<CgroupFile>,
    memory: Option<CgroupFile>,
    oom_kills: Option<CgroupFile>,
    limit_hits: Option<CgroupFile>,
    memory_max: Option<CgroupFile>,
    memory_limit: Option<CgroupFile>,
}

/// What the files said at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Processor time of everything in the cell but init.
    pub(crate) cpu: Option<Duration>,
    /// How long the cell's quota of processor time has held it up.
    pub(crate) throttled: Option<Duration>,
    /// Anonymous memory and files in memory, in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// How many processes the kernel has killed because memory ran out.
    pub(crate) oom_kills: Option<u64>,
    /// How often the cell wanted more memory than its own limit.
    pub(crate) limit_hits: Option<u64>,
    /// Whether it has ever had as much as that limit, where hits are not counted.
    pub(crate) was_at_limit: bool,
}

#[derive(Debug)]
struct CgroupFile {
    file: File,
    /// The fields whose sum is meant; none where the file is one number.
    fields: &'static [&'static str],
    /// What one is, in bytes, nanoseconds or events.
    unit: u64,
}

/// A file, its fields and its unit.
type Candidate = (&'static str, &'static [&'static str], u64);

const CPU: &[Candidate] = &[
    ("/sys/fs/cgroup/cpu.stat", &["usage_usec"], 1_000),
    ("/sys/fs/cgroup/cpuacct/cpuacct.usage", &[], 1),
    ("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", &[], 1),
];
const THROTTLED: &[Candidate] = &[
    ("/sys/fs/cgroup/cpu.stat", &["throttled_usec"], 1_000),
    ("/sys/fs/cgroup/cpu/cpu.stat", &["throttled_time"], 1),
    ("/sys/fs/cgroup/cpu,cpuacct/cpu.stat", &["throttled_time"], 1),
];
const MEMORY: &[Candidate] = &[
    ("/sys/fs/cgroup/memory.stat", &["anon", "shmem"], 1),
    ("/sys/fs/cgroup/memory/memory.stat", &["rss", "shmem"], 1),
];
const OOM_KILLS: &[Candidate] = &[
    ("/sys/fs/cgroup/memory.events", &["oom_kill"], 1),
    ("/sys/fs/cgroup/memory/memory.oom_control", &["oom_kill"], 1),
];
const LIMIT_HITS: &[Candidate] = &[("/sys/fs/cgroup/memory.events", &["oom"], 1)];
// Version 1 counts no such events, and its failcnt stays 0 where swap has the same limit, so what
// is left is the most that was ever in use.
const MEMORY_MAX: &[Candidate] = &[("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", &[], 1)];
const MEMORY_LIMIT: &[Candidate] = &[("/sys/fs/cgroup/memory/memory.limit_in_bytes", &[], 1)];
/// A charge that is refused is at most as large as a huge page and a batch of small ones.
const CHARGED_AT_ONCE_BYTES: u64 = 4 * 1024 * 1024;

impl Meter {
    pub(crate) fn open() -> Self {
        Self {
            cpu: CgroupFile::first(CPU),
            throttled: CgroupFile::first(THROTTLED),
            memory: CgroupFile::first(MEMORY),
            oom_kills: CgroupFile::first(OOM_KILLS),
            limit_hits: CgroupFile::first(LIMIT_HITS),
            memory_max: CgroupFile::first(MEMORY_MAX),
            memory_limit: CgroupFile::first(MEMORY_LIMIT),
        }
    }

    pub(crate) fn read(&self) -> Reading {
        let read = |file: &Option<CgroupFile>| file.as_ref().and_then(CgroupFile::read);
        Reading {
            cpu: self.cpu(),
            throttled: read(&self.throttled).map(Duration::from_nanos),
            memory_bytes: read(&self.memory),
            oom_kills: read(&self.oom_kills),
            limit_hits: read(&self.limit_hits),
            was_at_limit: read(&self.memory_max)
                .zip(read(&self.memory_limit))
                .is_some_and(|(max, limit)| max + CHARGED_AT_ONCE_BYTES >= limit),
        }
    }

    fn cpu(&self) -> Option<Duration> {
        // Init is in the same group, so its own time is taken off. Its time is read first, because
        // that also brings the group's figure up to date.
        let own = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let own = own.user_time().num_microseconds() + own.system_time().num_microseconds();
        let whole = Duration::from_nanos(self.cpu.as_ref()?.read()?);
        Some(whole.saturating_sub(Duration::from_micros(u64::try_from(own).ok()?)))
    }
}

impl Reading {
    /// Tells whether the kernel has killed a process since an earlier reading.
    pub(crate) fn has_killed_since(&self, before: &Self) -> bool {
        self.oom_kills > before.oom_kills
    }

    /// Tells whether the cell's own limit explains such a kill. If not, the host had no memory
    /// left.
    pub(crate) fn has_hit_limit_since(&self, before: &Self) -> bool {
        self.limit_hits > before.limit_hits || self.was_at_limit
    }
}

impl CgroupFile {
    fn first(candidates: &[Candidate]) -> Option<Self> {
        candidates.iter().find_map(Self::open)
    }

    fn open(&(path, fields, unit): &Candidate) -> Option<Self> {
        // A file that can be opened may still have another format than the path promises.
        let source = Self { file: File::open(path).ok()?, fields, unit };
        source.read().map(|_| source)
    }

    fn read(&self) -> Option<u64> {
        let mut buffer = [0; FILE_BYTES_MAX];
        let length = self.file.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).ok()?;
        let number: u64 = match self.fields {
            [] => text.trim().parse().ok()?,
            names => names.iter().map(|name| field(text, name)).sum::<Option<u64>>()?,
        };
        Some(number * self.unit)
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.find(|(key, _)| *key == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::field;

    const STAT: &str = "cache 10\nrss 2048\nrss_huge 7\nshmem 4096\ntotal_rss 9\n";

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(field(STAT, "rss"), Some(2048));
        assert_eq!(field(STAT, "shmem"), Some(4096));
    }

    #[test]
    fn a_field_that_is_absent_or_no_number_is_nothing() {
        assert_eq!(field(STAT, "anon"), None);
        assert_eq!(field("anon many\n", "anon"), None);
    }
}
