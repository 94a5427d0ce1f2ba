//! Where a stage's limits are enforced: processor time, wall time, memory and output. Watches a
//! program until it ends or exceeds one of them, and reports what it used.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::libc::SIGKILL;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sandbox::protocol::{
    ExceededLimit, OUTPUT_BYTES_MAX, StageExit, StageLimits, StageReport, StageUsage,
    WALL_STRETCH_MAX,
};

use crate::capture::{CHUNK_BYTES, Capture};
use crate::fault::{CellFault, During};
use crate::meter::{Meter, Reading};
use crate::process::Reaped;
use crate::run_queue::{Interval, RunQueueWaits};
use crate::spawn::{StartedProgram, setup_failure};

/// How often processor time and memory are read. The end of the program and its output are seen at
/// once.
const TICK: Duration = Duration::from_millis(10);
/// When the threads are looked at first, or at a quarter of the wall limit if that is sooner: the
/// first look costs a short program a millisecond. A thread that lives on still tells of all its
/// waits.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// How often the wall time is looked at once it seems to be over.
const WALL_STEP: Duration = Duration::from_millis(1);

/// A program that is watched until it ends or exceeds a limit.
pub(crate) struct LimitWatch<'a> {
    limits: StageLimits,
    meter: &'a Meter,
    before: Reading,
    started_at: Instant,
    sampled_at: Instant,
    /// When the threads were looked at, and the reading of that time.
    looked: (Instant, Reading),
    waits: RunQueueWaits,
    memory_peak_bytes: u64,
    pub(crate) processes: Reaped,
    /// Becomes readable when the main process ends. Absent where the kernel has no such
    /// descriptors: then the next tick finds the end.
    main: Option<OwnedFd>,
    stdout: Capture,
    stderr: Capture,
    /// What both streams are read into.
    chunk: Vec<u8>,
    setup: std::io::PipeReader,
}

impl<'a> LimitWatch<'a> {
    pub(crate) fn new(
        mut started: StartedProgram,
        limits: StageLimits,
        meter: &'a Meter,
        before: Reading,
        started_at: Instant,
    ) -> Result<Self, CellFault> {
        let processes = Reaped::new(started.child.id());
        let pipes = (started.child.stdout.take(), started.child.stderr.take());
        let (Some(stdout), Some(stderr)) = pipes else {
            return Err(CellFault::new("a program was started without pipes"));
        };
        let limit = (limits.output_bytes as usize).min(OUTPUT_BYTES_MAX);
        Ok(Self {
            limits,
            meter,
            before,
            started_at,
            sampled_at: started_at,
            looked: (started_at, before),
            waits: RunQueueWaits::new(),
            memory_peak_bytes: 0,
            main: pidfd_open(Pid::from_child(&started.child), PidfdFlags::empty()).ok(),
            processes,
            stdout: Capture::new(stdout.into(), limit)?,
            stderr: Capture::new(stderr.into(), limit)?,
            chunk: vec![0; CHUNK_BYTES],
            setup: started.setup,
        })
    }

    /// Watches until the main process ends or a limit is exceeded.
    pub(crate) fn until_end(&mut self) -> Result<Option<ExceededLimit>, CellFault> {
        loop {
            let main_ended = self.wait_for_change()?;
            self.stdout.read_some(&mut self.chunk)?;
            self.stderr.read_some(&mut self.chunk)?;
            if self.is_over_output() {
                return Ok(Some(ExceededLimit::Output));
            }
            if main_ended {
                return Ok(None);
            }
            if self.sampled_at.elapsed() >= TICK || self.wall_left().is_zero() {
                self.processes.reap_ended()?;
                if self.processes.exit.is_some() {
                    return Ok(None);
                }
                if let Some(stop) = self.find_exceeded_limit()? {
                    return Ok(Some(stop));
                }
            }
        }
    }

    /// Waits for output, the end, or the next tick, and tells whether the main process has ended.
    fn wait_for_change(&self) -> Result<bool, CellFault> {
        let until_due = self.wall_left().max(WALL_STEP);
        let timeout = TICK.saturating_sub(self.sampled_at.elapsed()).min(until_due);
        let timeout = Timespec::try_from(timeout).expect("a tick is short");
        let outputs = [self.stdout.fd(), self.stderr.fd()];
        let main = self.main.as_ref().map(AsFd::as_fd);
        let fds = main.into_iter().chain(outputs.into_iter().flatten());
        let mut fds: Vec<PollFd<'_>> =
            fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).during("cannot poll"),
        }
        Ok(self.main.is_some() && !fds[0].revents().is_empty())
    }

    /// Compares the clock and the control group with the limits.
    fn find_exceeded_limit(&mut self) -> Result<Option<ExceededLimit>, CellFault> {
        let now = self.meter.read();
        self.sample_waits(&now);
        self.raise_memory_peak(&now);
        let exceeded = self.exceeded_resource(&now)?;
        if exceeded.is_some() || self.is_over_wall_time() {
            return Ok(Some(exceeded.unwrap_or(ExceededLimit::WallTime)));
        }
        // The program has not had its time. The attempt is lost, and another one decides.
        if self.started_at.elapsed() >= millis(self.limits.wall_time_ms) * WALL_STRETCH_MAX {
            return Err(CellFault::new("others had the processors for too long"));
        }
        Ok(None)
    }

    fn sample_waits(&mut self, now: &Reading) {
        self.sampled_at = Instant::now();
        let first_look = FIRST_LOOK.min(millis(self.limits.wall_time_ms) / 4);
        if self.sampled_at.duration_since(self.started_at) < first_look {
            return;
        }
        let (since, before) = std::mem::replace(&mut self.looked, (self.sampled_at, *now));
        // Where the control group does not say what ran, nothing can be discounted.
        let Some(ran) = difference(now.cpu, before.cpu) else { return };
        self.waits.sample(Interval {
            until: self.sampled_at,
            length: self.sampled_at.duration_since(since),
            ran,
            throttled: difference(now.throttled, before.throttled).unwrap_or_default(),
        });
    }

    fn is_over_wall_time(&self) -> bool {
        let (limit, elapsed) = (millis(self.limits.wall_time_ms), self.started_at.elapsed());
        let is_over = |discount| elapsed.saturating_sub(discount) >= limit;
        // A wait that has not ended yet is looked for only where it decides.
        is_over(self.waits.discounted()) && is_over(self.waits.discounted() + self.waits.pending())
    }

    /// Returns the limit of memory or of processor time, if a reading shows it exceeded.
    fn exceeded_resource(&self, now: &Reading) -> Result<Option<ExceededLimit>, CellFault> {
        let over_memory = self.memory_peak_kib() > u64::from(self.limits.memory_kib);
        let was_killed = now.has_killed_since(&self.before);
        if was_killed && !over_memory && !now.has_hit_limit_since(&self.before) {
            // The program may be innocent. The attempt is lost, and another one decides.
            return Err(CellFault::new("the host has run out of memory"));
        }
        if was_killed || over_memory {
            return Ok(Some(ExceededLimit::Memory));
        }
        let over_cpu_time = self.cpu(now) > millis(self.limits.cpu_time_ms);
        Ok(over_cpu_time.then_some(ExceededLimit::CpuTime))
    }

    fn is_over_output(&self) -> bool {
        self.stdout.is_over() || self.stderr.is_over()
    }

    fn wall_left(&self) -> Duration {
        let counted = self.started_at.elapsed().saturating_sub(self.waits.discounted());
        millis(self.limits.wall_time_ms).saturating_sub(counted)
    }

    fn raise_memory_peak(&mut self, now: &Reading) {
        let (Some(before), Some(now)) = (self.before.memory_bytes, now.memory_bytes) else {
            return;
        };
        // The output that init keeps is in the same control group, and is not the program's memory.
        let kept = (self.stdout.kept_bytes() + self.stderr.kept_bytes()) as u64;
        self.memory_peak_bytes = self.memory_peak_bytes.max(now.saturating_sub(before + kept));
    }

    fn memory_peak_kib(&self) -> u64 {
        // Between two readings the control group may have had more memory than either saw. The
        // largest process that has ended had at least its own.
        self.processes.rss_peak_kib.max(self.memory_peak_bytes / 1024)
    }

    fn cpu(&self, now: &Reading) -> Duration {
        // The control group also counts processes whose parents did not wait for them. Where there
        // is no control group, what was reaped is all that is known.
        difference(now.cpu, self.before.cpu).unwrap_or_default().max(self.processes.cpu)
    }

    pub(crate) fn report(
        mut self,
        stopped: Option<ExceededLimit>,
        wall: Duration,
    ) -> Result<StageReport, CellFault> {
        setup_failure(&self.setup)?;
        if stopped != Some(ExceededLimit::Output) {
            self.stdout.drain(&mut self.chunk)?;
            self.stderr.drain(&mut self.chunk)?;
        }
        let after = self.meter.read();
        self.raise_memory_peak(&after);
        // What was exceeded between the last reading and the end.
        let exceeded = self.exceeded_resource(&after)?;
        let output = self.is_over_output().then_some(ExceededLimit::Output);
        let stopped = stopped.or(exceeded).or(output);
        Ok(StageReport {
            exit: self.processes.exit.unwrap_or(StageExit::Signal(SIGKILL)),
            stopped,
            usage: StageUsage {
                cpu_us: micros(self.cpu(&after)),
                wall_us: micros(wall),
                discounted_us: micros(self.waits.discounted()),
                memory_peak_kib: self.memory_peak_kib(),
            },
            stdout: self.stdout.into_captured(),
            stderr: self.stderr.into_captured(),
        })
    }
}

fn difference(now: Option<Duration>, before: Option<Duration>) -> Option<Duration> {
    now.zip(before).map(|(now, before)| now.saturating_sub(before))
}

fn millis(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
