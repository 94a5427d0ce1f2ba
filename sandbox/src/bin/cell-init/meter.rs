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
    memory: Option<CgroupFile>,
    oom: Option<CgroupFile>,
}

/// What the files said at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Processor time of everything in the cell but init.
    pub(crate) cpu: Option<Duration>,
    /// Anonymous memory and files in memory, in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// How many processes the kernel has killed because memory ran out.
    pub(crate) oom_kills: Option<u64>,
}

#[derive(Debug)]
struct CgroupFile {
    file: File,
    format: CgroupFormat,
}

#[derive(Clone, Copy, Debug)]
enum CgroupFormat {
    /// A number of nanoseconds.
    Nanoseconds,
    /// The sum of these fields.
    Fields(&'static [&'static str]),
}

const CPU: &[(&str, CgroupFormat)] = &[
    ("/sys/fs/cgroup/cpu.stat", CgroupFormat::Fields(&["usage_usec"])),
    ("/sys/fs/cgroup/cpuacct/cpuacct.usage", CgroupFormat::Nanoseconds),
    ("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", CgroupFormat::Nanoseconds),
];
const MEMORY: &[(&str, CgroupFormat)] = &[
    ("/sys/fs/cgroup/memory.stat", CgroupFormat::Fields(&["anon", "shmem"])),
    ("/sys/fs/cgroup/memory/memory.stat", CgroupFormat::Fields(&["rss", "shmem"])),
];
const OOM: &[(&str, CgroupFormat)] = &[
    ("/sys/fs/cgroup/memory.events", CgroupFormat::Fields(&["oom_kill"])),
    ("/sys/fs/cgroup/memory/memory.oom_control", CgroupFormat::Fields(&["oom_kill"])),
];

impl Meter {
    pub(crate) fn open() -> Self {
        Self {
            cpu: CgroupFile::first(CPU),
            memory: CgroupFile::first(MEMORY),
            oom: CgroupFile::first(OOM),
        }
    }

    pub(crate) fn read(&self) -> Reading {
        Reading {
            cpu: self.cpu(),
            memory_bytes: self.memory.as_ref().and_then(CgroupFile::read),
            oom_kills: self.oom.as_ref().and_then(CgroupFile::read),
        }
    }

    fn cpu(&self) -> Option<Duration> {
        // Init is in the same group, so its own time is taken off. Its time is read first, because
        // that also brings the group's figure up to date.
        let own = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let own = own.user_time().num_microseconds() + own.system_time().num_microseconds();
        let source = self.cpu.as_ref()?;
        let whole = match source.format {
            CgroupFormat::Nanoseconds => Duration::from_nanos(source.read()?),
            CgroupFormat::Fields(_) => Duration::from_micros(source.read()?),
        };
        Some(whole.saturating_sub(Duration::from_micros(u64::try_from(own).ok()?)))
    }
}

impl CgroupFile {
    fn first(candidates: &[(&str, CgroupFormat)]) -> Option<Self> {
        let open = |(path, format): &(&str, CgroupFormat)| {
            // A file that can be opened may still have another format than the path promises.
            let source = Self { file: File::open(path).ok()?, format: *format };
            source.read().map(|_| source)
        };
        candidates.iter().find_map(open)
    }

    fn read(&self) -> Option<u64> {
        let mut buffer = [0; FILE_BYTES_MAX];
        let length = self.file.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).ok()?;
        match self.format {
            CgroupFormat::Nanoseconds => text.trim().parse().ok(),
            CgroupFormat::Fields(names) => names.iter().map(|name| field(text, name)).sum(),
        }
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
