//! Time that a stage could have run and others had the processors. It is not the program's, so it
//! does not count for the wall limit.
//!
//! The kernel says of each thread how long it has waited for a processor
//! (`/proc/<pid>/task/<tid>/schedstat`, the second number, in nanoseconds), but only once the
//! thread has one again, and no more once the thread has ended: hence the samples. Waiting for the
//! stage's own threads or for its own quota is no such time, so what is credited in an interval is
//! at most the time in which the whole cell did not run, minus the time for which the quota held it
//! up.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::time::{Duration, Instant};

/// Less idle time than this is not worth a look at every thread, and is no gap between two waits.
const IDLE_MIN: Duration = Duration::from_millis(1);
/// How long idle time can still be explained by a wait that ends later.
const WINDOW: Duration = Duration::from_secs(10);
/// Where the processes of the cell stand.
const PROC: &str = "/proc";

/// What a stage waited for processors, as far as it was seen.
#[derive(Debug)]
pub(crate) struct RunQueueWaits {
    /// Each thread at the last look.
    threads: HashMap<u32, Seen>,
    idle: IdleTime,
    discounted: Duration,
}

/// What the cell did since the last sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    pub(crate) until: Instant,
    pub(crate) length: Duration,
    /// Processor time of everything in the cell but init.
    pub(crate) ran: Duration,
    /// How long the cell's own quota held it up.
    pub(crate) throttled: Duration,
}

impl RunQueueWaits {
    pub(crate) fn new() -> Self {
        Self {
            threads: HashMap::new(),
            idle: IdleTime(VecDeque::new()),
            discounted: Duration::ZERO,
        }
    }

    /// Returns what does not count so far.
    pub(crate) const fn discounted(&self) -> Duration {
        self.discounted
    }

    /// Credits the waits that have ended since the last sample.
    pub(crate) fn sample(&mut self, interval: Interval) {
        self.idle.push(interval);
        if self.idle.sum() < IDLE_MIN {
            return;
        }
        for thread in threads() {
            let Some(now) = thread.look() else { continue };
            let before = self.threads.insert(thread.id, now).unwrap_or_default();
            let ended = now.waited.saturating_sub(before.waited);
            self.discounted += self.idle.explain(ended);
            if now.waits_since(before) {
                self.discounted += self.idle.explain(interval.length);
            }
        }
    }

    /// Returns how long the cell has been waiting by now, if a thread of it could run and none
    /// does: a wait that the kernel will tell of when it ends.
    pub(crate) fn pending(&self) -> Duration {
        if is_any_runnable() { self.idle.unbroken() } else { Duration::ZERO }
    }
}

/// The latest intervals: the end of each, and what of it the cell did not run and is not explained.
#[derive(Debug)]
struct IdleTime(VecDeque<(Instant, Duration)>);

impl IdleTime {
    fn push(&mut self, interval: Interval) {
        let Interval { until, length, ran, throttled } = interval;
        while self.0.front().is_some_and(|(end, _)| until.duration_since(*end) > WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back((until, length.saturating_sub(ran)));
        // The kernel tells of a hold-up when it ends, so it may have begun in earlier intervals.
        self.explain(throttled);
    }

    /// Takes the idle time that a wait of this length explains. It ended in the newest interval.
    fn explain(&mut self, wait: Duration) -> Duration {
        let ended_after = self.0.iter().rev().nth(1).map(|(end, _)| *end);
        let mut left = wait;
        for (end, idle) in self.0.iter_mut().rev() {
            let is_before = ended_after.is_some_and(|after| after.duration_since(*end) > wait);
            if left.is_zero() || is_before {
                break;
            }
            let taken = left.min(*idle);
            *idle -= taken;
            left -= taken;
        }
        wait.saturating_sub(left)
    }

    fn sum(&self) -> Duration {
        self.0.iter().map(|(_, idle)| *idle).sum()
    }

    /// Returns the idle time up to now during which the cell did not run at all.
    fn unbroken(&self) -> Duration {
        let mut sum = Duration::ZERO;
        let mut begins: Option<Instant> = None;
        for (end, idle) in self.0.iter().rev() {
            // An interval that was not wholly idle ends with the last time that the cell ran.
            if begins.is_some_and(|begin| *end + IDLE_MIN < begin) || idle.is_zero() {
                break;
            }
            sum += *idle;
            begins = end.checked_sub(*idle);
        }
        sum
    }
}

fn is_any_runnable() -> bool {
    threads().any(Thread::is_runnable)
}

/// What was seen of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    ran: Duration,
    waited: Duration,
    /// Whether it runs or could.
    runnable: bool,
}

impl Seen {
    /// Tells whether the thread has waited since an earlier look, without having run: the kernel
    /// tells of such a wait only when it ends, and not at all if the thread then ends soon.
    fn waits_since(self, before: Self) -> bool {
        let has_waited = before.runnable || self.ran.is_zero();
        self.runnable && has_waited && self.ran == before.ran
    }
}

/// Reads the first two of three numbers: what a thread ran, and what it waited.
fn parse_schedstat(schedstat: &str) -> Option<(Duration, Duration)> {
    let mut numbers = schedstat.split_ascii_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok().map(Duration::from_nanos);
    Some((next()?, next()?))
}

/// Tells whether a thread runs or could. Its name stands in parentheses before; it may choose any
/// bytes for that.
fn parse_runnable(stat: &[u8]) -> bool {
    let name_end = stat.iter().rposition(|byte| *byte == b')');
    name_end.is_some_and(|end| stat[end..].starts_with(b") R"))
}

#[derive(Clone, Copy, Debug)]
struct Thread {
    process: u32,
    id: u32,
}

impl Thread {
    /// Looks at the thread; none if it has ended.
    fn look(self) -> Option<Seen> {
        let (ran, waited) = parse_schedstat(&fs::read_to_string(self.file("schedstat")).ok()?)?;
        Some(Seen { ran, waited, runnable: self.is_runnable() })
    }

    fn is_runnable(self) -> bool {
        fs::read(self.file("stat")).is_ok_and(|stat| parse_runnable(&stat))
    }

    fn file(self, name: &str) -> String {
        format!("{PROC}/{}/task/{}/{name}", self.process, self.id)
    }
}

/// Lists the threads of every process but this one. A process that ends meanwhile has none.
fn threads() -> impl Iterator<Item = Thread> {
    let own = std::process::id();
    numbers(PROC.to_owned()).filter(move |process| *process != own).flat_map(|process| {
        numbers(format!("{PROC}/{process}/task")).map(move |id| Thread { process, id })
    })
}

/// Returns the entries of a folder whose names are numbers.
fn numbers(folder: String) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Intervals of 10 ms, of which the cell ran so much each.
    fn after(ran: &[u64]) -> (IdleTime, Instant) {
        let (mut idle, mut until) = (IdleTime(VecDeque::new()), Instant::now());
        for ran in ran {
            until += ms(10);
            idle.push(Interval { until, length: ms(10), ran: ms(*ran), throttled: ms(0) });
        }
        (idle, until)
    }

    #[test]
    fn a_wait_is_credited_when_it_ends_and_only_once() {
        let (mut idle, _) = after(&[10, 0, 0, 0, 2]);
        assert_eq!(idle.explain(ms(35)), ms(35));
        // A second thread has waited in the same time.
        assert_eq!(idle.explain(ms(35)), ms(3));
    }

    #[test]
    fn waiting_for_its_own_threads_is_not_credited() {
        let (mut idle, _) = after(&[10, 10, 10, 9]);
        assert_eq!(idle.explain(ms(40)), ms(1));
    }

    #[test]
    fn sleep_of_long_ago_explains_no_wait_of_today() {
        let (mut idle, _) = after(&[0, 0, 0, 0, 0, 10, 10, 10]);
        assert_eq!(idle.explain(ms(19)), ms(0));
    }

    #[test]
    fn the_cell_s_own_quota_explains_its_idle_time_first() {
        let (mut idle, now) = after(&[10, 0, 0, 0]);
        let until = now + ms(10);
        idle.push(Interval { until, length: ms(10), ran: ms(10), throttled: ms(30) });
        assert_eq!(idle.explain(ms(40)), ms(0));
    }

    #[test]
    fn a_thread_that_could_run_and_has_not_waits() {
        let seen = |ran, runnable| Seen { ran: ms(ran), waited: ms(0), runnable };
        let never_seen = Seen::default();
        assert!(seen(5, true).waits_since(seen(5, true)));
        assert!(seen(0, true).waits_since(never_seen), "it has not had a processor yet");
        // It has run, has slept, or does not want to run.
        assert!(!seen(6, true).waits_since(seen(5, true)));
        assert!(!seen(5, true).waits_since(seen(5, false)));
        assert!(!seen(5, false).waits_since(seen(5, true)));
    }

    #[test]
    fn what_is_pending_reaches_back_to_the_last_time_that_the_cell_ran() {
        assert_eq!(after(&[0, 0, 4, 0, 0]).0.unbroken(), ms(26));
        assert_eq!(after(&[0, 10]).0.unbroken(), ms(0));
    }

    #[test]
    fn the_kernel_s_files_are_read_as_it_writes_them() {
        let expected = (Duration::from_micros(205), Duration::from_micros(3));
        assert_eq!(parse_schedstat("205000 3000 7\n"), Some(expected));
        assert_eq!(parse_schedstat("205"), None);
        assert!(parse_runnable(b"7 (a) S b) R 1 7 7"));
        assert!(parse_runnable(b"7 (\xff) R 1 7 7"));
        assert!(!parse_runnable(b"7 (R) S 1 7 7"));
    }
}
