//! `cargo dev test`: every check in one order, over servers that it starts and stops itself.

mod tally;
mod tee;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::tally::TestCounts;
use crate::command::{output_within, shown_run};
use crate::failure::failure;
use crate::install::cargo_tools::{DENY, NEXTEST};
use crate::lock::Lock;
use crate::parts::{self, Part, Site};
use crate::paths::Layout;
use crate::steps::{StepValue, loud_step, note, say, seconds};
use crate::{dev_env, environment, images, interrupt, paths, programs, stack};

/// What begins empty in every run. The engine keeps its images.
const FRESH: &[&str] = &["nats", "postgres", "mongo"];

/// How long the database of advisories may take to come.
const DATABASE_PATIENCE: Duration = Duration::from_mins(1);

/// Runs the checks. With a filter only the tests that it names, and nothing before them.
pub(crate) fn run(layout: &Layout, filter: &[String]) -> Result<()> {
    let begun = Instant::now();
    let _lock = Lock::take(layout)?;
    // Before all checks, so that fetching and building a tool does not count as their time.
    let deny = if filter.is_empty() { DENY.ensure().map(drop) } else { Ok(()) };
    let nextest = NEXTEST.ensure();
    if let Err(error) = &nextest {
        interrupt::check()?;
        note(format_args!("  no cargo-nextest ({error:#}); plain `cargo test` runs instead"));
    }
    let mut tools = begun.elapsed();
    if filter.is_empty() {
        static_checks(layout)?;
        if deny.is_ok() {
            supply_chain(layout)?;
        }
    }
    let tally = over_servers(layout, filter, &mut tools)?;
    conclude(&tally, begun.elapsed().saturating_sub(tools), tools)?;
    // Only here: on a machine that cannot fetch the tool all else is checked.
    deny.context("licences, bans and sources are not checked, since there is no cargo-deny")
}

fn static_checks(layout: &Layout) -> Result<()> {
    let check = |name: &str, args: &[&str], advice: &str| {
        loud_step(name, || {
            let mut cargo = cargo(layout);
            // In a variable, since `cargo doc` passes no flags on to rustdoc.
            cargo.args(args).env("RUSTDOCFLAGS", "-D warnings");
            shown_run(&mut cargo).map_err(|error| failure(format!("{error:#}"), advice))
        })
    };
    check("formatting", &["fmt", "--all", "--check"], "run `cargo fmt --all`")?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    check("lints", &clippy, "mend what clippy names above")?;
    let doc = ["doc", "--no-deps", "--workspace"];
    check("documentation", &doc, "mend what rustdoc names above")
}

/// What we depend on, held against `deny.toml`.
fn supply_chain(layout: &Layout) -> Result<()> {
    let deny = |args: &[&str]| {
        let mut deny = DENY.command()?;
        deny.current_dir(&layout.root).args(args);
        anyhow::Ok(deny)
    };
    let check = |which: &[&str]| {
        let args = [["--locked", "check", "-D", "unmatched-skip"].as_slice(), which].concat();
        let advice = "change the dependency, or deny.toml with a reason";
        shown_run(&mut deny(&args)?).map_err(|error| failure(format!("{error:#}"), advice))
    };
    loud_step("licences, bans and sources", || check(&["licenses", "bans", "sources"]))?;
    // The database of advisories is a repository of its own, which not every machine can reach.
    if let Err(error) = output_within(&mut deny(&["fetch", "db"])?, DATABASE_PATIENCE) {
        interrupt::check()?;
        let cause = error.root_cause().to_string();
        let last = cause.lines().last().unwrap_or_default().trim();
        note(format_args!("  not checked: advisories, whose database cannot be fetched ({last})"));
        return Ok(());
    }
    loud_step("advisories", || check(&["advisories"]))
}

fn cargo(layout: &Layout) -> Command {
    let mut cargo = Command::new(environment::cargo());
    cargo.current_dir(&layout.root);
    cargo
}

/// Starts the servers, runs the tests, and stops the servers whatever came of it.
fn over_servers(layout: &Layout, filter: &[String], tools: &mut Duration) -> Result<TestCounts> {
    stack::stop(layout)?;
    // What an aborted run has left is stopped by now: a server would not survive the loss of its
    // data.
    for name in FRESH {
        for dir in [layout.data(name), layout.public_data(name)] {
            paths::remove_tree(&dir)?;
        }
    }
    let begun = Instant::now();
    let planned = stack::plan(layout.clone());
    // Planning fetches the servers that are absent.
    *tools += begun.elapsed();
    let tested = planned.and_then(|site| test(site, filter));
    let interrupted = interrupt::take();
    let stopped = stack::stop(layout);
    // What went wrong in the tests tells more than trouble with stopping, so it goes first.
    let tally = tested?;
    stopped?;
    if interrupted {
        bail!("interrupted");
    }
    Ok(tally)
}

fn test(mut site: Site, filter: &[String]) -> Result<TestCounts> {
    // Tests run the programs that cargo builds for them, whatever `up` runs.
    site.programs = programs::folder(&site.layout.root, programs::DEV)?;
    loud_step("build the programs under test", || {
        programs::build(&site.layout.root, programs::DEV)
    })?;
    // Every black-box test has a nats-server of its own, so none is started here.
    let shared: Vec<&Part> =
        parts::SERVERS.iter().copied().filter(|part| part.name() != "nats").collect();
    stack::start(&site, &shared)?;
    images::ensure(&site.layout.root, &site.engine)?;
    let mut tally = run_tests(&site, filter)?;
    if filter.is_empty() && tally.is_good() {
        // With either runner: nextest does not run the tests in documentation.
        let mut doc = cargo(&site.layout);
        doc.args(["test", "--workspace", "--doc"]).envs(dev_env::for_tests(&site)?);
        tally.add(loud_step("tests in the documentation", || tee::run(&mut doc))?);
    }
    Ok(tally)
}

fn run_tests(site: &Site, filter: &[String]) -> Result<TestCounts> {
    let mut tests = if let Ok(mut nextest) = NEXTEST.command() {
        nextest.args(["run", "--no-fail-fast"]).current_dir(&site.layout.root);
        nextest
    } else {
        let mut tests = cargo(&site.layout);
        tests.args(["test", "--no-fail-fast", "--bins", "--lib", "--tests"]);
        tests
    };
    if !names_package(filter) {
        tests.arg("--workspace");
    }
    tests.args(filter).envs(dev_env::for_tests(site)?);
    loud_step("tests", || tee::run(&mut tests))
}

/// Whether a filter chooses packages itself.
fn names_package(filter: &[String]) -> bool {
    filter.iter().any(|word| word.starts_with("-p") || word.starts_with("--package"))
}

fn conclude(tally: &TestCounts, took: Duration, tools: Duration) -> Result<()> {
    note("");
    say(format_args!("cargo dev test took {}, and {} for tools", seconds(took), seconds(tools)));
    tally.summaries().iter().for_each(say);
    say(tally);
    if !tally.is_good() {
        let advice = "the output above names what failed; `cargo dev test NAME` runs one test";
        return Err(failure("the tests did not all pass", advice));
    }
    // A misspelled filter would otherwise look like success.
    if tally.is_empty() {
        return Err(failure("no test ran", "see whether the filter names one"));
    }
    Ok(())
}
