//! What grows with the ledger: memory and restart time of nats-server, bytes of the ledger and of
//! each view, and the time of an acceptance.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::LedgerOptions;
use super::measured::{accept, append, draw_level};
use crate::command::output;
use crate::interrupt;
use crate::parts::{self, Part, Site};
use crate::stack;
use crate::state::Record;
use crate::steps::{say, seconds, step};

/// What the ledger may take, as in an installation without settings. `cargo dev up` reserves less.
const LEDGER_BYTES_MAX: u64 = 8 << 30;

/// Acceptances that are timed, on a machine that does nothing else.
const TIMED_ACCEPTANCES: u64 = 300;

/// What is measured at one number of submissions.
struct GrowthFigures {
    submissions: u64,
    rate: f64,
    ledger_bytes: u64,
    postgres_bytes: u64,
    mongo_bytes: u64,
    /// Memory of nats-server right after the appending.
    nats_full_bytes: u64,
    /// The same after a start.
    nats_started_bytes: u64,
    start_after_kill: Duration,
    start_after_stop: Duration,
    accept_p50_ms: f64,
    accept_p99_ms: f64,
}

/// How one figure is shown.
type Shown = fn(&GrowthFigures) -> String;

/// The rows of the table.
const ROWS: [(&str, Shown); 10] = [
    ("submissions appended a second", |it| format!("{:.0}", it.rate)),
    ("bytes of LEDGER", |it| megabytes(it.ledger_bytes)),
    ("bytes of PostgreSQL", |it| megabytes(it.postgres_bytes)),
    ("bytes of MongoDB", |it| megabytes(it.mongo_bytes)),
    ("memory of nats-server, after appending", |it| megabytes(it.nats_full_bytes)),
    ("memory of nats-server, after a start", |it| megabytes(it.nats_started_bytes)),
    ("start of nats-server after SIGKILL", |it| seconds(it.start_after_kill)),
    ("start of nats-server after SIGTERM", |it| seconds(it.start_after_stop)),
    ("an acceptance, p50", |it| format!("{:.2} ms", it.accept_p50_ms)),
    ("an acceptance, p99", |it| format!("{:.2} ms", it.accept_p99_ms)),
];

/// Lets an empty ledger grow to each of these numbers of submissions.
pub(super) fn measure(site: &Site, options: &LedgerOptions, counts: &[u64]) -> Result<()> {
    ensure!(counts.is_sorted(), "the numbers of submissions must rise");
    step("raise the ledger's limit", || raise_limit(site))?;
    let mut columns = Vec::new();
    let mut stands = 0;
    for count in counts {
        columns.push(measure_at(site, options, *count, count - stands)?);
        stands = *count;
        // After each, so that a run that is cut off has told what it knows.
        print(&columns);
    }
    Ok(())
}

fn raise_limit(site: &Site) -> Result<()> {
    let mut command = parts::program(site, "provisioner", "provisioner")?;
    command.env("RUNLEDGER__STREAMS__LEDGER_BYTES_MAX", LEDGER_BYTES_MAX.to_string());
    output(&mut command).map(drop)
}

fn measure_at(
    site: &Site,
    options: &LedgerOptions,
    submissions: u64,
    more: u64,
) -> Result<GrowthFigures> {
    let nats = parts::named("nats")?;
    let appended = append(site, options, more)?;
    draw_level(site, appended.last_sequence)?;
    let nats_full_bytes = resident_bytes(site, nats)?;
    let accepted = accept(site, options, TIMED_ACCEPTANCES)?;
    draw_level(site, accepted.last_sequence)?;
    // Killed first: a stop in order writes the index that a crash leaves old.
    let start_after_kill = started_after(site, nats, || stack::kill_one(&site.layout, nats))?;
    let start_after_stop = started_after(site, nats, || stack::stop_one(&site.layout, nats))?;
    Ok(GrowthFigures {
        submissions,
        rate: appended.rate(),
        ledger_bytes: appended.ledger_bytes,
        postgres_bytes: site.postgres_bytes()?,
        mongo_bytes: site.mongo_bytes()?,
        nats_full_bytes,
        nats_started_bytes: resident_bytes(site, nats)?,
        start_after_kill,
        start_after_stop,
        accept_p50_ms: accepted.accept_p50_ms,
        accept_p99_ms: accepted.accept_p99_ms,
    })
}

/// Ends a part in some way, and times its next start until it is ready.
fn started_after(
    site: &Site,
    part: &Part,
    end: impl FnOnce() -> Result<String>,
) -> Result<Duration> {
    interrupt::check()?;
    step(&format!("end {}", part.name()), end)?;
    let begun = Instant::now();
    step(&format!("start {}", part.name()), || stack::start_one(site, part))?;
    Ok(begun.elapsed())
}

/// The memory that a part has in use.
fn resident_bytes(site: &Site, part: &Part) -> Result<u64> {
    let record = Record::alive(&site.layout, part.name())?.context("it does not run")?;
    let status = fs::read_to_string(format!("/proc/{}/status", record.identity.pid))?;
    let kib = resident_kib(&status).context("its status tells no VmRSS")?;
    Ok(kib * 1_024)
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A table in Markdown, as it stands in the documents.
fn print(columns: &[GrowthFigures]) {
    let row = |name: &str, cells: Vec<String>| format!("| {name} | {} |", cells.join(" | "));
    let cells = |shown: &dyn Fn(&GrowthFigures) -> String| -> Vec<String> {
        columns.iter().map(shown).collect()
    };
    say(format_args!("\n{}", row("submissions", cells(&|it| it.submissions.to_string()))));
    say(row("---", cells(&|_| "---:".to_owned())));
    for (name, shown) in ROWS {
        say(row(name, cells(&shown)));
    }
}

/// Decimal, as disks are sold.
fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_read_out_of_a_process_status() {
        let status = "Name:\tnats-server\nVmHWM:\t   70000 kB\nVmRSS:\t   65432 kB\n";
        assert_eq!(resident_kib(status), Some(65_432));
        assert_eq!(resident_kib("Name:\tzombie\n"), None);
    }
}
