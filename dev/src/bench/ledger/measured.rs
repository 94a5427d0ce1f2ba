//! The topology that is measured: the stores and the projector, and what can be done to it and read
//! from it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::LedgerOptions;
use crate::command::output;
use crate::parts::{self, Site};
use crate::paths::Layout;
use crate::steps::{StepValue, loud_step, step};
use crate::{interrupt, programs, stack};

/// The views, as the projector names them.
pub(super) const VIEWS: [&str; 2] = ["results", "progress"];

/// A debug build would measure the compiler.
const RELEASE: &str = "release";

/// How often the projector is asked how far it is.
const LEVEL_POLL: Duration = Duration::from_millis(10);

/// How long a view may take to draw level.
const LEVEL_PATIENCE: Duration = Duration::from_mins(30);

/// What the load generator tells.
#[derive(Debug, Deserialize)]
pub(super) struct AppendFigures {
    pub(super) submissions: u64,
    pub(super) seconds: f64,
    pub(super) accept_p50_ms: f64,
    pub(super) accept_p99_ms: f64,
    pub(super) last_sequence: u64,
    pub(super) ledger_bytes: u64,
}

impl AppendFigures {
    /// Submissions a second.
    pub(super) fn rate(&self) -> f64 {
        per_second(self.submissions, self.seconds)
    }
}

impl StepValue for AppendFigures {
    fn shown(&self) -> String {
        format!("{:.0}/s", self.rate())
    }
}

/// How far a view was behind when the appending ended, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct ViewLag {
    pub(super) events: u64,
    pub(super) level_after: Duration,
}

/// Builds everything, and starts what events pass through.
pub(super) fn bring_up(layout: Layout) -> Result<Site> {
    let mut site = stack::plan(layout)?;
    let root = site.layout.root.clone();
    loud_step("build the programs", || programs::build(&root, RELEASE))?;
    site.programs = programs::folder(&root, RELEASE)?;
    for store in ["nats", "postgres", "mongo"] {
        stack::start(&site, &[parts::named(store)?])?;
    }
    step("database schema", || parts::migrate(&site))?;
    for service in ["provisioner", "projector"] {
        stack::start(&site, &[parts::named(service)?])?;
    }
    Ok(site)
}

/// Appends whole submissions.
pub(super) fn append(
    site: &Site,
    options: &LedgerOptions,
    submissions: u64,
) -> Result<AppendFigures> {
    step(&format!("append {submissions} submissions"), || {
        let writers = ["--writers".to_owned(), options.writers.to_string()];
        let append = ["append".to_owned(), submissions.to_string()];
        generate(site, options, &[append, writers].concat())
    })
}

/// Appends acceptances one after the other.
pub(super) fn accept(
    site: &Site,
    options: &LedgerOptions,
    submissions: u64,
) -> Result<AppendFigures> {
    step(&format!("append {submissions} acceptances, one by one"), || {
        let accept = ["accept".to_owned(), submissions.to_string()];
        generate(site, options, &accept)
    })
}

fn generate(site: &Site, options: &LedgerOptions, arguments: &[String]) -> Result<AppendFigures> {
    let mut command = parts::program(site, "load-generator", "command-api")?;
    command.args(["--principals", &options.principals.to_string()]).args(arguments);
    let told = output(&mut command)?;
    serde_json::from_str(&told).context("read what the load generator tells")
}

/// Waits until both views hold everything up to `last`.
pub(super) fn draw_level(site: &Site, last: u64) -> Result<[ViewLag; VIEWS.len()]> {
    let begun = Instant::now();
    let behind = positions(site)?.map(|position| last.saturating_sub(position));
    let mut level = [None; VIEWS.len()];
    loop {
        for (after, position) in level.iter_mut().zip(positions(site)?) {
            if after.is_none() && position >= last {
                *after = Some(begun.elapsed());
            }
        }
        if let [Some(results), Some(progress)] = level {
            let lag = |place: usize, level_after| ViewLag { events: behind[place], level_after };
            return Ok([lag(0, results), lag(1, progress)]);
        }
        ensure!(begun.elapsed() < LEVEL_PATIENCE, "the views do not draw level with event {last}");
        interrupt::pause(LEVEL_POLL);
        interrupt::check()?;
    }
}

/// The last event in each view.
fn positions(site: &Site) -> Result<[u64; VIEWS.len()]> {
    let (_, metrics) = servers::http::get(&site.ports.address("projector")?, "/metrics")?;
    let mut positions = [0; VIEWS.len()];
    for (position, view) in positions.iter_mut().zip(VIEWS) {
        // Absent until the projector has read it.
        *position = sequence_in(&metrics, view).unwrap_or_default();
    }
    Ok(positions)
}

fn sequence_in(metrics: &str, view: &str) -> Option<u64> {
    let name = format!("ledger_projection_sequence{{projection=\"{view}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
}

/// A rate, of a count that no float can have wrong in a way that shows.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(super) fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_views_position_is_read_out_of_the_metrics() {
        let metrics = "# TYPE ledger_projection_sequence gauge\n\
                       ledger_projection_sequence{projection=\"results\"} 41\n\
                       ledger_projection_sequence{projection=\"progress\"} 3000000\n";
        assert_eq!(VIEWS.map(|view| sequence_in(metrics, view)), [Some(41), Some(3_000_000)]);
        assert_eq!(sequence_in("", "results"), None);
    }
}
