//! A whole topology in one directory: brings its parts up in order, keeps what already runs well,
//! and takes everything down again.

use std::time::Duration;

use anyhow::Result;
use servers::ProcessIdentity;
use servers::kill::StopOutcome;
use servers::log;
use servers::ready::wait_until_ready;

use crate::failure::failure;
use crate::install::{self, Tools};
use crate::parts::{self, EngineChoice, Part, Site, docker};
use crate::paths::{self, Layout};
use crate::ports::{Ports, part_of};
use crate::secrets::{self, Secret};
use crate::state::Record;
use crate::steps::{note, step};
use crate::{command, dev_env, interrupt, process, programs};

/// How long a part may take to become ready; a store that recovers after a crash needs a while.
const READY_PATIENCE: Duration = Duration::from_mins(1);

/// How much of a log is shown when its part does not come up.
const SHOWN_LINES: usize = 20;

/// Makes the directories and decides ports, engine and secrets, for a topology that is to run.
pub(crate) fn plan(layout: Layout) -> Result<Site> {
    for dir in [
        layout.dir.clone(),
        layout.run(),
        layout.dir.join("conf"),
        layout.dir.join("data"),
        layout.sockets(),
    ] {
        paths::make_public(&dir)?;
    }
    // First, because an engine that answers need not be installed.
    let engine = EngineChoice::choose(&layout);
    let tools = install::ensure(!engine.ours)?;
    let mut ports = Ports::load(&layout)?;
    ports.choose(&layout.key(), |owner| {
        Record::alive(&layout, part_of(owner)).is_ok_and(|record| record.is_some())
    })?;
    ports.save(&layout)?;
    engine.record(&layout)?;
    site(layout, ports, tools, engine)
}

/// What is known of a topology that was planned before.
pub(crate) fn recall(layout: Layout) -> Result<Site> {
    if !layout.dir.join("ports.json").is_file() {
        return Err(failure("nothing has been started here yet", "run `cargo dev up`"));
    }
    let ports = Ports::load(&layout)?;
    let engine = EngineChoice::recorded(&layout).unwrap_or_else(|| EngineChoice::private(&layout));
    site(layout, ports, install::located()?, engine)
}

fn site(layout: Layout, ports: Ports, tools: Tools, engine: EngineChoice) -> Result<Site> {
    let programs = programs::folder(&layout.root, &programs::profile())?;
    let (secret, nats_passwords) = (Secret::ensure(&layout)?, secrets::nats_passwords(&layout)?);
    Ok(Site { layout, ports, tools, engine, programs, secret, nats_passwords })
}

/// Brings parts up, in their order: each is started when it does not run as it should, and asked
/// until it is ready and set up.
pub(crate) fn start(site: &Site, parts: &[&Part]) -> Result<()> {
    for part in parts {
        interrupt::check()?;
        if part.name() == "docker" && !site.engine.ours {
            step("use the Docker engine of this machine", || Ok(site.engine.host.clone()))?;
            continue;
        }
        step(&format!("start {}", part.name()), || start_one(site, part))?;
    }
    Ok(())
}

/// Starts a single part unless it runs and is healthy.
pub(crate) fn start_one(site: &Site, part: &Part) -> Result<String> {
    let server = part.server(site)?;
    let program = server.prepare()?;
    let running = Record::alive(&site.layout, part.name())?;
    let current = running.filter(|record| record.fingerprint == process::fingerprint(&program));
    let wait_until_ready = |identity: &ProcessIdentity| {
        wait_until_ready(&*server, identity, READY_PATIENCE, interrupt::check)
            .map_err(|error| with_log(site, part, error))
    };
    if let Some(current) = current.filter(|_| server.check().is_ok()) {
        // An earlier start may have been interrupted before it had set the part up.
        wait_until_ready(&current.identity)?;
        return Ok(format!("{}, running already", part.address(site)?));
    }
    stop_one(&site.layout, part)?;
    let record = process::start(&site.layout, part.name(), &program)?;
    wait_until_ready(&record.identity)?;
    site.ports.release(part.name());
    part.address(site)
}

fn with_log(site: &Site, part: &Part, error: anyhow::Error) -> anyhow::Error {
    // The person knows why the wait has ended; a log would look like a fault.
    if interrupt::raised() {
        return error;
    }
    let path = site.layout.log(part.name());
    note(format_args!(
        "\nthe end of {}:\n{}",
        path.display(),
        command::last_lines(&log::tail(&path), SHOWN_LINES)
    ));
    let name = part.name();
    failure(
        format!("{name} did not come up: {error:#}"),
        format!("read `cargo dev logs {name}`, then `cargo dev up` again"),
    )
}

/// Takes a whole topology down. Does what it can even where a part resists, then reports the first
/// trouble.
pub(crate) fn stop(layout: &Layout) -> Result<()> {
    let mut trouble = None;
    // Against the order of the start, so that no service loses its stores before its own end.
    for part in parts::all().into_iter().rev() {
        let was_there = Record::load(layout, part.name())?.is_some();
        let result = if was_there {
            step(&format!("stop {}", part.name()), || stop_one(layout, part))
        } else {
            after_stop(layout, part).map(|()| String::new())
        };
        trouble = trouble.or_else(|| result.err());
    }
    // Sockets that did not fit into the clone lie outside of it.
    paths::remove_tree(&layout.outside().join("run"))?;
    dev_env::remove(layout)?;
    trouble.map_or(Ok(()), Err)
}

/// Ends a single part in order.
pub(crate) fn stop_one(layout: &Layout, part: &Part) -> Result<String> {
    if part.name() == "docker" && Record::alive(layout, part.name())?.is_some() {
        // An engine that no longer answers cannot clean up; what follows does it by force.
        if let Err(error) = docker::remove_containers(layout) {
            note(format_args!("  docker does not clean up: {error:#}"));
        }
    }
    let end = process::stop(layout, part.name())?;
    after_stop(layout, part)?;
    Ok(match end {
        None => "did not run".to_owned(),
        Some(StopOutcome::Orderly) => String::new(),
        Some(StopOutcome::Killed) => "had to be killed".to_owned(),
    })
}

/// Removes what a part may have left behind that has ended, however it ended.
fn after_stop(layout: &Layout, part: &Part) -> Result<()> {
    if part.name() == "docker" { docker::remove_leftovers(layout) } else { Ok(()) }
}

/// Kills a single part at once, as a crash would.
pub(crate) fn kill_one(layout: &Layout, part: &Part) -> Result<String> {
    match Record::alive(layout, part.name())? {
        Some(record) => {
            process::kill_part(&record.identity)?;
            Ok(format!("pid {}", record.identity.pid))
        }
        None => Ok("did not run".to_owned()),
    }
}

/// Removes the data of a topology that is down.
pub(crate) fn wipe(layout: &Layout) -> Result<()> {
    for dir in [layout.dir.join("data"), layout.outside()] {
        paths::remove_tree(&dir)?;
    }
    Ok(())
}
