//! The figures, as a person reads them.

use std::time::Duration;

use super::load::Load;
use super::split::{PARTS, Split};
use crate::steps::say;

/// The design's aim for an idle machine: at most this much above the bare program, at the median.
const OVERHEAD_AIM_MS: f64 = 15.0;

/// Everything that one run of the benchmark measured.
#[derive(Default)]
pub(super) struct Report {
    pub(super) bare: Vec<Duration>,
    pub(super) idle: Vec<Duration>,
    pub(super) splits: Vec<Split>,
    pub(super) load: Option<Load>,
}

impl Report {
    /// Writes the report to standard output.
    pub(super) fn print(&self) {
        say(format_args!("\nhello world in Python, {} rounds, milliseconds", self.idle.len()));
        say("                                 p50      p95      p99");
        row("bare process", &self.bare);
        row("submit to verdict, idle", &self.idle);
        self.print_overhead();
        self.print_splits();
        if let Some(load) = &self.load {
            print_load(load);
        }
    }

    fn print_overhead(&self) {
        let (bare, idle) = (millis(percentile(&self.bare, 50)), millis(percentile(&self.idle, 50)));
        let above = idle - bare;
        let met = if above <= OVERHEAD_AIM_MS { "met" } else { "not met" };
        say(format_args!(
            "above the bare process, p50: {above:.1} ms, {:.2} times as long (aim: at most {OVERHEAD_AIM_MS} ms, {met})",
            idle / bare
        ));
    }

    fn print_splits(&self) {
        say("\nwhere the time goes (idle)       p50      p95      p99");
        for (part, name) in PARTS.iter().enumerate() {
            let times: Vec<_> = self.splits.iter().filter_map(|split| split.get(part)).collect();
            let times: Vec<_> = times
                .into_iter()
                .map(|us| Duration::from_micros((*us).try_into().unwrap_or(0)))
                .collect();
            row(name, &times);
        }
    }
}

fn print_load(load: &Load) {
    let rate = f64::from(u32::try_from(load.latencies.len()).unwrap_or(u32::MAX))
        / load.took.as_secs_f64();
    say(format_args!("\n{} clients at once                p50      p95      p99", load.clients));
    row("submit to verdict", &load.latencies);
    say(format_args!(
        "throughput: {rate:.1} submissions/s ({} in {:.1} s)",
        load.latencies.len(),
        load.took.as_secs_f64()
    ));
}

fn row(name: &str, times: &[Duration]) {
    let [p50, p95, p99] = [50, 95, 99].map(|rank| millis(percentile(times, rank)));
    say(format_args!("  {name:<26} {p50:>8.2} {p95:>8.2} {p99:>8.2}"));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The nearest-rank percentile; zero of nothing.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let times: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let ranks = [50, 95, 99, 100].map(|percent| percentile(&times, percent).as_millis());
        assert_eq!(ranks, [100, 190, 198, 200]);
        assert_eq!(percentile(&[], 50), Duration::ZERO);
        assert_eq!(percentile(&times[..1], 50), Duration::from_millis(200));
    }
}
