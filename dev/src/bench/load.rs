//! Many clients at once, each submitting as soon as it has its last verdict.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::PROGRAM;
use crate::client::Client;
use crate::interrupt;
use crate::steps::Outcome;

/// What a loaded Runledger did.
pub(super) struct Load {
    pub(super) clients: usize,
    pub(super) took: Duration,
    pub(super) latencies: Vec<Duration>,
}

impl Outcome for Load {
    fn shown(&self) -> String {
        format!("{} submissions", self.latencies.len())
    }
}

/// Runs `submissions` in all, from `clients` at once.
pub(super) fn run(client: &Client, clients: usize, submissions: usize) -> Result<Load> {
    let left = AtomicUsize::new(submissions);
    let begun = Instant::now();
    let latencies = thread::scope(|scope| {
        let workers: Vec<_> = (0..clients).map(|_| scope.spawn(|| work(client, &left))).collect();
        let done = workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_panic| anyhow!("a client panicked"))?);
        done.collect::<Result<Vec<_>>>()
    })?;
    Ok(Load { clients, took: begun.elapsed(), latencies: latencies.concat() })
}

fn work(client: &Client, left: &AtomicUsize) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let take = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        interrupt::check()?;
        latencies.push(client.submit(PROGRAM)?.finished()?.total);
    }
    Ok(latencies)
}
