//! `cargo dev bench`: what a submission costs above the bare program, side by side in one run. With
//! `--against` the same is measured of another commit, and the rounds of both alternate. The modes
//! measure something else, each as its own module says.

mod bare;
mod burst;
mod ledger;
mod reading;
mod report;
mod run;
mod split;
mod stack;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use client::Client;

use crate::paths::Layout;
use crate::steps::loud_step;
use crate::{interrupt, runtime};

use burst::LoadFigures;
use report::Figures;
use stack::Stack;

/// The program that is measured, bare and submitted.
const PROGRAM: &str = "print('hello')\n";

/// Rounds that are run first and not counted.
// They open connections and fill caches, which a server that has run for a while has done.
const WARM_UP_ROUNDS: usize = 5;

/// How often two commits take turns in the throughput part.
const TURNS: usize = 6;

/// How much is measured, and of what.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    mode: Option<BenchMode>,
    /// Submissions one by one, each beside a bare start of the same program
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Clients at once in the throughput part
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Submissions of all clients together
    #[arg(long, default_value_t = 300)]
    submissions: usize,
    /// Rest before each single submission, in milliseconds, so that the used cell has been replaced
    /// and nothing else runs
    #[arg(long, default_value_t = 400)]
    rest_ms: u64,
    /// Build and start another commit, too, and compare with it
    #[arg(long, value_name = "REV")]
    against: Option<String>,
}

/// What else can be measured.
#[derive(Debug, Subcommand)]
enum BenchMode {
    /// Measure polls of single submissions, with PostgreSQL and without
    Reading(reading::ReadingOptions),
    /// Measure how fast the ledger takes submissions with both views on, and how fast a view is
    /// rebuilt
    Ledger(ledger::LedgerOptions),
}

/// A Runledger that is up, and what was measured of it.
struct Side {
    client: Client,
    figures: Figures,
}

/// Measures release builds on topologies of their own, which are started, and stopped at the end.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<()> {
    match &options.mode {
        Some(BenchMode::Reading(options)) => return reading::run(layout, options),
        Some(BenchMode::Ledger(options)) => return ledger::run(layout, options),
        None => {}
    }
    // Beside another commit this one has an engine of its own, too, so that both run alike.
    let mut stacks = vec![Stack::here(layout, options.against.is_some())?];
    if let Some(rev) = &options.against {
        stacks.push(Stack::of_commit(layout, rev)?);
    }
    with_all_up(&stacks, Vec::new(), options)
}

/// Starts one stack after the other, measures all of them, and stops each that was started.
fn with_all_up(stacks: &[Stack], mut sides: Vec<Side>, options: &Options) -> Result<()> {
    // Recursion and not a loop: each call stops its own stack, whatever has failed further in.
    let [stack, rest @ ..] = stacks else { return measure(sides, options) };
    let measured = stack.up().and_then(|client| {
        sides.push(Side { client, figures: Figures::of(&stack.name) });
        with_all_up(rest, sides, options)
    });
    // Also after a failure, which may have left half of it running.
    let stopped = stack.down();
    measured?;
    stopped
}

fn measure(mut sides: Vec<Side>, options: &Options) -> Result<()> {
    loud_step("one at a time", || runtime::block_on(idle(&mut sides, options)))?;
    loud_step("all at once", || runtime::block_on(loaded(&mut sides, options)))?;
    let figures: Vec<Figures> = sides.into_iter().map(|side| side.figures).collect();
    report::print(&figures, options.clients);
    Ok(())
}

/// Yields every side, in another order each round: who comes first finds another machine than who
/// comes after it.
fn in_turn<T>(sides: &mut [T], round: usize) -> impl Iterator<Item = &mut T> {
    let (before, first) = sides.split_at_mut(round % sides.len());
    first.iter_mut().chain(before)
}

/// Alternates bare starts and submissions, so that all see the same machine.
async fn idle(sides: &mut [Side], options: &Options) -> Result<()> {
    let program = bare::BareProgram::new(PROGRAM)?;
    for round in 0..WARM_UP_ROUNDS + options.rounds {
        for side in in_turn(sides, round) {
            interrupt::check()?;
            // By then the cell of the last submission has been replaced, and the machine is idle.
            tokio::time::sleep(Duration::from_millis(options.rest_ms)).await;
            let bare = program.run()?;
            let run = run::submit(&side.client).await?;
            // Also a rest for the other side: the projector has done its work before that runs.
            let projected_at_us = run::projected(&side.client, &run.id).await?;
            if round >= WARM_UP_ROUNDS {
                let events = side.client.events(&run.id).await?;
                side.figures.bare.push(bare);
                side.figures.idle.push(run.total);
                // A commit whose events have another form has no split.
                side.figures.splits.extend(split::of(&run, projected_at_us, &events));
            }
        }
    }
    Ok(())
}

/// Loads one side after the other, and takes turns, so that a machine that becomes slower or faster
/// does so for both.
async fn loaded(sides: &mut [Side], options: &Options) -> Result<()> {
    let turns = if sides.len() == 1 { 1 } else { TURNS };
    for turn in 0..turns {
        for side in in_turn(sides, turn) {
            let submissions = options.submissions.div_ceil(turns);
            side.figures.load.burst(&side.client, options.clients, submissions).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_as_often_the_first() {
        let firsts = (0..6).map(|round| *in_turn(&mut ["here", "before"], round).next().unwrap());
        assert_eq!(firsts.filter(|side| *side == "here").count(), 3);
        assert_eq!(in_turn(&mut ["here", "before"], 1).count(), 2);
    }
}
