//! Appends submissions through the ledger as command-api and an executor do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use events::envelope::Writer;
use events::{BootId, IdSource as _, SubmissionId};
use ledger::{Accepting, Aggregate, Ledger};
use platform::ids::RandomIds;
use tokio::task::JoinSet;

use crate::samples::Samples;

/// The trace that every event belongs to: its size counts, and not where it leads.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Appends submissions to one ledger.
#[derive(Debug)]
pub(crate) struct Generator {
    ledger: Ledger,
    samples: Samples,
    api: Writer,
    executor: Writer,
}

impl Generator {
    /// Makes one whose submissions are of so many users in turn.
    pub(crate) fn new(ledger: Ledger, principals: u64) -> Result<Self> {
        let writer = |source: &str, actor: &str| Writer {
            source: source.to_owned(),
            actor: actor.to_owned(),
            instance: BootId::new(RandomIds.new_id()),
            traceparent: Some(TRACE.to_owned()),
        };
        let executor = writer("/executor/generator", "executor:generator");
        Ok(Self {
            ledger,
            samples: Samples::new(principals, executor.instance)?,
            api: writer("/command-api", "user:generator"),
            executor,
        })
    }

    /// Appends whole submissions, as many at once as there are writers. Returns how long each
    /// acceptance took.
    pub(crate) async fn append(
        self: &Arc<Self>,
        submissions: u64,
        writers: u64,
    ) -> Result<Vec<Duration>> {
        let next = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(self.clone().write(next.clone(), submissions));
        }
        let mut accepts = Vec::new();
        while let Some(written) = tasks.join_next().await {
            accepts.extend(written??);
        }
        Ok(accepts)
    }

    /// Appends acceptances one after the other. Returns how long each took.
    pub(crate) async fn accept(&self, submissions: u64) -> Result<Vec<Duration>> {
        let mut accepts = Vec::new();
        for number in 0..submissions {
            accepts.push(self.accept_one(number).await?.1);
        }
        Ok(accepts)
    }

    /// Writes one submission after the other, until all writers together have written enough.
    async fn write(
        self: Arc<Self>,
        next: Arc<AtomicU64>,
        submissions: u64,
    ) -> Result<Vec<Duration>> {
        let mut accepts = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= submissions {
                return Ok(accepts);
            }
            let (mut aggregate, accept) = self.accept_one(number).await?;
            accepts.push(accept);
            for event in [self.samples.started(), self.samples.completed(number)] {
                self.ledger.execute(&mut aggregate, event, &self.executor).await?;
            }
        }
    }

    async fn accept_one(&self, number: u64) -> Result<(Aggregate, Duration)> {
        let (id, accepted) =
            (SubmissionId::new(RandomIds.new_id()), self.samples.accepted(number)?);
        let begun = Instant::now();
        let accepting = self.ledger.accept(id, accepted, &self.api).await?;
        let took = begun.elapsed();
        match accepting {
            Accepting::New(aggregate) => Ok((aggregate, took)),
            Accepting::Existing(_) => bail!("the new id {id} is in the ledger already"),
        }
    }
}
