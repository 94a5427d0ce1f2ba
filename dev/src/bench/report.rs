//! The figures, as a person reads them: of one commit, or of two with their ratio.

use std::time::Duration;

use super::LoadFigures;
use super::split::{PARTS, Split};
use crate::steps::say;

/// The aim for an idle machine: at most this much above the bare program, at the median.
const OVERHEAD_AIM_MS: f64 = 15.0;

/// The aim for a poll while PostgreSQL is away: below this at the 99th percentile.
const POLL_AIM_MS: f64 = 50.0;

/// The percentiles that are shown.
const RANKS: [usize; 3] = [50, 95, 99];

/// Everything that was measured of one commit.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) name: String,
    pub(super) bare: Vec<Duration>,
    pub(super) idle: Vec<Duration>,
    pub(super) splits: Vec<Split>,
    pub(super) load: LoadFigures,
}

impl Figures {
    /// Nothing yet.
    pub(super) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn part(&self, part: usize) -> Vec<Duration> {
        let times = self.splits.iter().filter_map(|split| split.get(part));
        times.map(|us| Duration::from_micros((*us).try_into().unwrap_or(0))).collect()
    }
}

/// Writes the report to standard output.
pub(super) fn print(sides: &[Figures], clients: usize) {
    let rounds = sides.first().map_or(0, |side| side.idle.len());
    say(format_args!("\nhello world in Python, {rounds} rounds, milliseconds"));
    heading("");
    rows("bare process", sides, |side| side.bare.clone());
    rows("submit to verdict, idle", sides, |side| side.idle.clone());
    for side in sides {
        print_overhead(side);
    }
    heading("\nwhere the time goes (idle)");
    if sides.iter().all(|side| !side.splits.is_empty()) {
        for (part, name) in PARTS.iter().enumerate() {
            rows(name, sides, |side| side.part(part));
        }
    } else {
        say("  (one of the commits does not tell)");
    }
    heading(&format!("\n{clients} clients at once"));
    rows("submit to verdict", sides, |side| side.load.latencies.clone());
    print_throughput(sides);
}

/// Writes the report of the polls to standard output.
pub(super) fn print_polls(with: &[Duration], without: &[Duration]) {
    heading("polls of one submission, milliseconds");
    for (name, times) in [("with PostgreSQL", with), ("without PostgreSQL", without)] {
        row(name, RANKS.map(|rank| millis(percentile(times, rank))));
        say(format_args!("  {} answers", times.len()));
    }
    let p99 = millis(percentile(without, 99));
    let met = if p99 < POLL_AIM_MS { "met" } else { "not met" };
    say(format_args!("without PostgreSQL, p99: {p99:.1} ms (aim: below {POLL_AIM_MS} ms, {met})"));
}

fn print_overhead(side: &Figures) {
    let (bare, idle) = (millis(percentile(&side.bare, 50)), millis(percentile(&side.idle, 50)));
    let above = idle - bare;
    let met = if above <= OVERHEAD_AIM_MS { "met" } else { "not met" };
    say(format_args!(
        "{}: above the bare process, p50: {above:.1} ms, {:.2} times as long \
         (aim: at most {OVERHEAD_AIM_MS} ms, {met})",
        side.name,
        idle / bare
    ));
}

fn print_throughput(sides: &[Figures]) {
    for side in sides {
        let (count, took) = (side.load.latencies.len(), side.load.took.as_secs_f64());
        let rate = side.load.rate();
        say(format_args!(
            "{}: throughput {rate:.1} submissions/s ({count} in {took:.1} s)",
            side.name
        ));
    }
    if let [here, other] = sides {
        say(format_args!("ratio of throughputs: {:.3}", here.load.rate() / other.load.rate()));
    }
}

fn heading(text: &str) {
    say(format_args!("{text:<38} p50      p95      p99"));
}

/// Shows one figure of every commit, and of two their ratio: below 1 the first is the faster.
fn rows(name: &str, sides: &[Figures], times: impl Fn(&Figures) -> Vec<Duration>) {
    let percentiles = |times: Vec<Duration>| RANKS.map(|rank| millis(percentile(&times, rank)));
    let all: Vec<[f64; 3]> = sides.iter().map(|side| percentiles(times(side))).collect();
    for (side, figures) in sides.iter().zip(&all) {
        let place = if sides.len() == 1 { String::new() } else { format!(", {}", side.name) };
        row(&format!("{name}{place}"), *figures);
    }
    if let [here, other] = &*all {
        row(&format!("{name}, ratio"), std::array::from_fn(|rank| here[rank] / other[rank]));
    }
}

fn row(name: &str, [p50, p95, p99]: [f64; 3]) {
    say(format_args!("  {name:<36} {p50:>8.2} {p95:>8.2} {p99:>8.2}"));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The nearest-rank percentile; zero of nothing.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    // A time that was measured rather than one between two. Of nothing the rank would be 0, and
    // there is no place before the first.
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
