//! `cargo dev bench`: what a submission costs above the bare program, side by side in one run.

mod bare;
mod load;
mod report;
mod split;

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::client::Client;
use crate::interrupt;
use crate::paths::Layout;
use crate::servers::Site;
use crate::steps::loud_step;
use crate::up;

use report::Report;

/// The program that is measured, bare and submitted.
const PROGRAM: &str = "print('hello')\n";

/// Rounds that are run first and not counted.
const WARM_UP_ROUNDS: usize = 5;

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Submissions one by one, each beside a bare start of the same program
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Clients at once in the throughput part
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Submissions of all clients together
    #[arg(long, default_value_t = 300)]
    submissions: usize,
    /// Rest before each single submission, in milliseconds, so that the used cell has been replaced and nothing else runs
    #[arg(long, default_value_t = 400)]
    rest_ms: u64,
}

/// Measures on the topology of `up`, which is started if it does not run, and then stopped again.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<()> {
    up::with(layout, |site, token| measure(site, token, options))
}

fn measure(site: &Site, token: &str, options: &Options) -> Result<()> {
    let client = Client::new(&site.edge_url()?, token)?;
    let mut report = Report::default();
    loud_step("one at a time", || idle(&client, options, &mut report))?;
    report.load = Some(loud_step("all at once", || {
        load::run(&client, options.clients, options.submissions)
    })?);
    report.print();
    Ok(())
}

/// Alternates bare starts and submissions, so that both see the same machine.
fn idle(client: &Client, options: &Options, report: &mut Report) -> Result<()> {
    let program = bare::Program::new(PROGRAM)?;
    for round in 0..WARM_UP_ROUNDS + options.rounds {
        interrupt::check()?;
        interrupt::pause(Duration::from_millis(options.rest_ms));
        let bare = program.run()?;
        let run = client.submit(PROGRAM)?.finished()?;
        let projected_at_us = client.projected(&run.id)?;
        if round >= WARM_UP_ROUNDS {
            report.splits.push(split::of(&run, projected_at_us, &client.events(&run.id)?)?);
            report.bare.push(bare);
            report.idle.push(run.total);
        }
    }
    Ok(())
}
