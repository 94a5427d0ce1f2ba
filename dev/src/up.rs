//! `cargo dev up`: from nothing to a running Runledger that has proved itself.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::failure::failure;
use crate::lock::Lock;
use crate::parts::{self, Site};
use crate::paths::Layout;
use crate::state::Record;
use crate::steps::{loud_step, note, say, seconds, step};
use crate::{dev_env, images, interrupt, programs, smoke, stack, token};

/// How often a topology in the foreground is looked after.
const WATCH_POLL: Duration = Duration::from_millis(500);

/// Brings everything up. In the foreground it stays until interrupted, and then stops everything.
pub(crate) fn run(layout: &Layout, detach: bool) -> Result<()> {
    let lock = Lock::take(layout)?;
    let begun = Instant::now();
    let brought = bring_up(layout.clone());
    // With `--detach` what came up is left, for a look at why the rest did not.
    if brought.is_err() && (!detach || interrupt::raised()) {
        interrupt::take();
        stack::stop(layout)?;
    }
    let (site, token) = brought?;
    // Given back while it runs, so that `cargo dev stop` and the like can work on it.
    drop(lock);
    welcome(&site, &token, begun.elapsed())?;
    if detach {
        return Ok(());
    }
    say("\nPress Ctrl-C to stop everything.");
    watch(&site)?;
    // The Ctrl-C that ended the watch would also end the stop.
    interrupt::take();
    let _lock = Lock::take(layout)?;
    stack::stop(layout)
}

fn bring_up(layout: Layout) -> Result<(Site, String)> {
    let site = stack::plan(layout)?;
    loud_step("build the services", || programs::build(&site.layout.root, &programs::profile()))?;
    stack::start(&site, parts::SERVERS)?;
    images::ensure(&site.layout.root, &site.engine)?;
    // The services do not migrate by themselves, so that never two of them do so at once.
    step("database schema", || parts::migrate(&site))?;
    stack::start(&site, parts::SERVICES)?;
    stack::start(&site, &[parts::EDGE])?;
    let token = token::demo(&site)?;
    dev_env::write(&site, &token)?;
    let proof = step("run a Python program through the edge", || {
        smoke::prove(site.edge_url()?, token.clone(), || trouble(&site))
    });
    proof.map_err(|error| {
        failure(
            format!("{error:#}"),
            "everything runs, but not as it should; see `cargo dev status` and `cargo dev logs`",
        )
    })?;
    Ok((site, token))
}

/// What the first service says that is not ready, if there is one.
fn trouble(site: &Site) -> Option<String> {
    parts::SERVICES.iter().find_map(|service| {
        let error = service.check(site).err()?;
        Some(format!("{}: {error:#}", service.name()))
    })
}

fn welcome(site: &Site, token: &str, took: Duration) -> Result<()> {
    let url = site.edge_url()?;
    let file = site.layout.dev_env();
    say(format_args!("\nRunledger is up ({}).\n", seconds(took)));
    say(format_args!("  URL    {url}\n  token  {token}\n"));
    say("Try it:\n");
    say(format_args!("  set -a; . {}; set +a", file.display()));
    say(
        "  curl -s \"$RUNLEDGER_URL/v1/submissions\" -H \"Authorization: Bearer $RUNLEDGER_TOKEN\" \\",
    );
    say(
        "    -H 'Content-Type: application/json' -d '{\"language\": \"python\", \"source\": \"print(6 * 7)\"}'",
    );
    say("\n`cargo dev status` and `cargo dev logs` show how it is, `cargo dev down` stops it.");
    Ok(())
}

/// Says when a part has ended, until the person, or another command, ends everything.
fn watch(site: &Site) -> Result<()> {
    let mut gone = BTreeSet::new();
    let names: Vec<&str> = parts::all()
        .iter()
        .map(|part| part.name())
        .filter(|name| *name != "docker" || site.engine.ours)
        .collect();
    while !interrupt::raised() {
        for name in &names {
            let alive = Record::alive(&site.layout, name)?.is_some();
            if alive {
                gone.remove(name);
            } else if gone.insert(name) {
                note(format_args!(
                    "  {name} has ended; `cargo dev start {name}` starts it, \
                     `cargo dev logs {name}` tells why"
                ));
            }
        }
        if gone.len() == names.len() {
            note("  everything was stopped by another command");
            return Ok(());
        }
        interrupt::pause(WATCH_POLL);
    }
    Ok(())
}
