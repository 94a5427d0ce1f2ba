//! `cargo dev bench reading`: how long polls of single submissions take, with PostgreSQL and
//! without it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use client::Client;
use tokio::task::JoinSet;

use super::report;
use super::run::{projected, submit};
use super::stack::Stack;
use crate::paths::Layout;
use crate::steps::loud_step;
use crate::{interrupt, runtime};

/// The submissions that are polled: enough for a view to have something to look up.
const SUBMISSIONS: usize = 20;

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct ReadingOptions {
    /// Clients that poll at once, each as soon as it has its last answer
    #[arg(long, default_value_t = 8)]
    pollers: usize,
    /// How long they poll, in seconds, with PostgreSQL and again without
    #[arg(long, default_value_t = 10)]
    poll_seconds: u64,
}

/// Measures a release build on a topology of its own, which is started, and stopped at the end.
pub(super) fn run(layout: &Layout, options: &ReadingOptions) -> Result<()> {
    let stack = Stack::here(layout, false)?;
    let measured = stack.up().and_then(|client| measure_stack(&stack, &client, options));
    let stopped = stack.down();
    measured?;
    stopped
}

fn measure_stack(stack: &Stack, client: &Client, options: &ReadingOptions) -> Result<()> {
    let (mut ids, mut with, mut without) = (Vec::new(), Vec::new(), Vec::new());
    loud_step("submissions to poll", || runtime::block_on(submit_some(client, &mut ids)))?;
    loud_step("polls with PostgreSQL", || {
        runtime::block_on(poll(client, &ids, options, &mut with))
    })?;
    stack.stop("postgres")?;
    // From the first moment on, in which the service does not know yet that it is away.
    loud_step("polls without PostgreSQL", || {
        runtime::block_on(poll(client, &ids, options, &mut without))
    })?;
    report::print_polls(&with, &without);
    Ok(())
}

async fn submit_some(client: &Client, ids: &mut Vec<String>) -> Result<()> {
    for _ in 0..SUBMISSIONS {
        let run = submit(client).await?;
        projected(client, &run.id).await?;
        ids.push(run.id);
    }
    Ok(())
}

/// Polls from all clients, and notes how long each answer took.
async fn poll(
    client: &Client,
    ids: &[String],
    options: &ReadingOptions,
    times: &mut Vec<Duration>,
) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(options.poll_seconds);
    let mut pollers = JoinSet::new();
    for first in 0..options.pollers {
        pollers.spawn(one_poller(client.clone(), ids.to_vec(), first, until));
    }
    while let Some(poller) = pollers.join_next().await {
        times.extend(poller??);
    }
    Ok(())
}

async fn one_poller(
    client: Client,
    ids: Vec<String>,
    first: usize,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut polled = ids.iter().cycle().skip(first);
    while Instant::now() < until {
        interrupt::check()?;
        let id = polled.next().context("there is nothing to poll")?;
        let begun = Instant::now();
        client.submission(id).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}
