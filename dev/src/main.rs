//! `cargo dev`: runs Runledger with its real servers on this machine, and checks it. Knows how
//! parts are started, asked and stopped; what they do is their own business.

mod bench;
mod checks;
mod command;
mod dev_env;
mod environment;
mod failure;
mod images;
mod install;
mod interrupt;
mod lock;
mod logs;
mod parts;
mod paths;
mod ports;
mod process;
mod programs;
mod runtime;
mod secrets;
mod smoke;
mod stack;
mod state;
mod status;
mod steps;
mod token;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::failure::failure;
use crate::lock::Lock;
use crate::parts::Site;
use crate::paths::Layout;
use crate::steps::step;

/// Runs and checks Runledger on this machine.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version)]
struct DevArguments {
    /// Keep the topology's state in this directory instead of the clone's .runledger
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,

    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start everything, and prove with a real program that it works
    Up {
        /// Return when all is ready, and leave it running
        #[arg(long)]
        detach: bool,
    },
    /// Stop everything that `up` or an aborted `test` has left running
    Down {
        /// Also delete the data
        #[arg(long)]
        wipe: bool,
    },
    /// Show each part: process, address, health
    Status,
    /// Show what the parts have logged
    Logs {
        /// Only this part
        part: Option<String>,
        /// Go on as more comes
        #[arg(long, short)]
        follow: bool,
    },
    /// Build the image that programs run in
    Images,
    /// Start one part
    Start {
        /// The part's name, as `status` shows it
        part: String,
    },
    /// Stop one part in order
    Stop {
        /// The part's name, as `status` shows it
        part: String,
    },
    /// Stop one part in order and start it again
    Restart {
        /// The part's name, as `status` shows it
        part: String,
    },
    /// End one part with SIGKILL, as a crash would
    Kill {
        /// The part's name, as `status` shows it
        part: String,
    },
    /// Measure what a submission costs above the bare program
    Bench(bench::Options),
    /// Check formatting, lints and documentation, then run every test on servers of its own
    Test {
        /// Run only these tests, without the other checks; passed on to the test runner
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
}

fn main() -> ExitCode {
    forget_inherited_files();
    match run(DevArguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            steps::explain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Closes what a careless caller left open, since our servers would keep it open after us.
fn forget_inherited_files() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for file in open.into_iter().filter(|file| *file > 2) {
        // The one that listed the others is closed already, which is not a fault.
        match nix::unistd::close(file) {
            Ok(()) | Err(_) => {}
        }
    }
}

fn run(arguments: DevArguments) -> Result<ExitCode> {
    interrupt::listen()?;
    let layout = layout(arguments.state)?;
    match arguments.task {
        Task::Up { detach } => up::run(&layout, detach)?,
        Task::Down { wipe } => down(&layout, wipe)?,
        Task::Status => {
            let healthy = status::show(&stack::recall(layout)?)?;
            // Scripts go by the exit status; a part that is down is an answer and not an error.
            return Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Task::Logs { part, follow } => logs::show(&layout, part.as_deref(), follow)?,
        Task::Images => build_images(layout)?,
        Task::Start { part } => one(layout, &part, &["start"])?,
        Task::Stop { part } => one(layout, &part, &["stop"])?,
        Task::Restart { part } => one(layout, &part, &["stop", "start"])?,
        Task::Kill { part } => one(layout, &part, &["kill"])?,
        Task::Bench(options) => bench::run(&layout, &options)?,
        Task::Test { filter } => checks::run(&inner(&layout), &filter)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn layout(state: Option<PathBuf>) -> Result<Layout> {
    let root = paths::find_root()?;
    let dir = match state {
        Some(dir) => std::path::absolute(dir).context("the state's directory")?,
        None => root.join(".runledger"),
    };
    Ok(Layout::new(&root, &dir))
}

/// The topology of `test`, which shares nothing with the one of `up`.
fn inner(layout: &Layout) -> Layout {
    Layout::new(&layout.root, &layout.dir.join("test"))
}

fn down(layout: &Layout, wipe: bool) -> Result<()> {
    let _lock = Lock::take(layout)?;
    stack::stop(layout)?;
    let tests = inner(layout);
    // A test run that is at work stops its own servers.
    let idle = if tests.dir.exists() { Lock::try_take(&tests)? } else { None };
    if idle.is_some() {
        stack::stop(&tests)?;
    }
    if wipe {
        stack::wipe(layout)?;
        if idle.is_some() {
            stack::wipe(&tests)?;
        }
    }
    steps::say("nothing is running any more");
    Ok(())
}

/// Builds the images on the engine that `up` uses, and leaves that engine as it was.
fn build_images(layout: Layout) -> Result<()> {
    let _lock = Lock::take(&layout)?;
    let site = stack::plan(layout)?;
    let docker = parts::named("docker")?;
    // Asked before the start, since the engine runs after it in either case.
    let ran = !site.engine.ours || state::Record::alive(&site.layout, docker.name())?.is_some();
    stack::start(&site, &[docker])?;
    let built = images::ensure(&site.layout.root, &site.engine);
    if !ran {
        // An engine that was started here is stopped after a Ctrl-C, too.
        interrupt::take();
        step("stop docker", || stack::stop_one(&site.layout, docker))?;
    }
    built
}

fn one(layout: Layout, name: &str, deeds: &[&str]) -> Result<()> {
    let part = parts::named(name)?;
    let _lock = Lock::take(&layout)?;
    let site = stack::recall(layout)?;
    for deed in deeds {
        step(&format!("{deed} {name}"), || match *deed {
            "start" => begin(&site, part),
            "stop" => stack::stop_one(&site.layout, part),
            _ => stack::kill_one(&site.layout, part),
        })?;
    }
    // A part that was started again has another pid, which the file names.
    dev_env::refresh(&site)
}

fn begin(site: &Site, part: &parts::Part) -> Result<String> {
    if part.name() == "docker" && !site.engine.ours {
        return Err(failure("the engine is this machine's own", "start it as this machine does"));
    }
    stack::start_one(site, part)
}
