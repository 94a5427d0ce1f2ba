//! How many submissions a second the ledger takes, how far the views fall behind, and how fast each
//! of them is rebuilt.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::LedgerOptions;
use super::measured::{AppendFigures, VIEWS, ViewLag, append, draw_level, per_second};
use crate::parts::{self, Site};
use crate::steps::{say, step};

/// The aim, on two processors with one node.
const SUBMISSIONS_AIM: f64 = 800.0;

/// The aim of a rebuild.
const REBUILT_EVENTS_AIM: f64 = 50_000.0;

/// Submissions that come first and are not counted.
// They open connections and fill caches, which a server that has run for a while has done.
const WARM_UP: u64 = 1_000;

/// Measures on a ledger that is empty.
pub(super) fn measure(site: &Site, options: &LedgerOptions) -> Result<()> {
    let warm_up = append(site, options, WARM_UP)?;
    draw_level(site, warm_up.last_sequence)?;
    let figures = append(site, options, options.submissions)?;
    let lags = draw_level(site, figures.last_sequence)?;
    let mut rebuilt = Vec::new();
    for view in VIEWS {
        let seconds = step(&format!("rebuild {view}"), || rebuild(site, view))?;
        rebuilt.push(per_second(figures.last_sequence, seconds.parse()?));
    }
    print(options, &figures, &lags, &rebuilt);
    Ok(())
}

/// Rebuilds a view. Returns after how many seconds readers saw it.
fn rebuild(site: &Site, view: &str) -> Result<String> {
    let mut command = parts::program(site, "projector", "projector")?;
    command.args(["rebuild", view]).stdin(Stdio::null());
    let output = command.output().context("start projector")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "projector rebuild {view}: {told}");
    seconds_until_switch(&told).with_context(|| format!("projector rebuild tells no time: {told}"))
}

fn seconds_until_switch(told: &str) -> Option<String> {
    let switch = told.lines().find(|line| line.contains("readers see generation"))?;
    let (_, after) = switch.rsplit_once("after ")?;
    Some(after.strip_suffix(" s")?.to_owned())
}

fn print(options: &LedgerOptions, figures: &AppendFigures, lags: &[ViewLag], rebuilt: &[f64]) {
    let (submissions, seconds) = (figures.submissions, figures.seconds);
    say(format_args!("\n{submissions} submissions of three events, {} at once", options.writers));
    aim("submissions a second", figures.rate(), SUBMISSIONS_AIM);
    say(format_args!("  {:<32} {seconds:>10.1} s", "all of them"));
    let (p50, p99) = (figures.accept_p50_ms, figures.accept_p99_ms);
    say(format_args!("  {:<32} {p50:>10.2} ms, p99 {p99:.2} ms", "an acceptance under load, p50"));
    for (view, lag) in VIEWS.iter().zip(lags) {
        let after = lag.level_after.as_secs_f64();
        let name = format!("{view}, behind at the end");
        say(format_args!("  {name:<32} {:>10} events, level after {after:.2} s", lag.events));
    }
    for (view, rate) in VIEWS.iter().zip(rebuilt) {
        aim(&format!("rebuild of {view}, events a second"), *rate, REBUILT_EVENTS_AIM);
    }
}

fn aim(name: &str, rate: f64, aim: f64) {
    let met = if rate >= aim { "met" } else { "not met" };
    say(format_args!("  {name:<32} {rate:>10.0} (aim: {aim:.0}, {met})"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_until_readers_see_a_rebuilt_view_is_found_in_what_the_projector_says() {
        let told = "results: generation 2: 10 of 30 events, 33 %, 10/s, about 2 s left\n\
                    results: readers see generation 2, level at event 30, after 3.2 s\n\
                    results: deleted 10 rows of earlier generations\n";
        assert_eq!(seconds_until_switch(told).as_deref(), Some("3.2"));
        assert_eq!(seconds_until_switch("results: deleted 10 rows"), None);
    }
}
