//! Many clients at once, each submitting as soon as it has its last verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use client::Client;
use tokio::task::JoinSet;

use super::run;
use crate::interrupt;

/// What loaded Runledgers did, one burst after the other.
#[derive(Default)]
pub(super) struct LoadFigures {
    pub(super) took: Duration,
    pub(super) latencies: Vec<Duration>,
}

impl LoadFigures {
    /// Runs `submissions` in all, from `clients` at once.
    pub(super) async fn burst(
        &mut self,
        client: &Client,
        clients: usize,
        submissions: usize,
    ) -> Result<()> {
        let left = Arc::new(AtomicUsize::new(submissions));
        let begun = Instant::now();
        // Tasks of one thread: sixteen threads would take time from the services that are measured.
        let mut workers = JoinSet::new();
        for _ in 0..clients {
            workers.spawn(work(client.clone(), left.clone()));
        }
        while let Some(worker) = workers.join_next().await {
            self.latencies.extend(worker??);
        }
        self.took += begun.elapsed();
        Ok(())
    }

    /// Returns how many submissions ended each second.
    pub(super) fn rate(&self) -> f64 {
        let count = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        f64::from(count) / self.took.as_secs_f64()
    }
}

async fn work(client: Client, left: Arc<AtomicUsize>) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    // Every client takes from one count, so that a slow one does not prolong the burst by itself.
    let take = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        interrupt::check()?;
        latencies.push(run::submit(&client).await?.total);
    }
    Ok(latencies)
}
