//! The auditor: reads the whole ledger with a plain NATS client, checks it, and compares both views
//! with its own fold.

mod objects;
mod postgres;
mod progress;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use events::{Fold, Submission, SubmissionId};

pub use self::stream::{AuditedForeign, AuditedLedger, Message, read_ledger};
use crate::client::Submitted;
use crate::wait::wait_until;
use crate::world::World;

/// How long a view may be behind the ledger after the load.
const CATCH_UP_PATIENCE: Duration = Duration::from_mins(5);

/// The ledger as it was when it was read, and what it folds to.
#[derive(Debug)]
pub struct Audit {
    /// Every event, in order.
    pub messages: Vec<Message>,
    /// What is no event of ours. That there is some is no fault: the stream keeps it for ever.
    pub foreign: Vec<AuditedForeign>,
    /// The sequence of the last message.
    pub last_sequence: u64,
    /// The fold of every submission.
    pub folds: BTreeMap<SubmissionId, Fold>,
}

impl Audit {
    /// Reads the ledger of a world and folds it. An illegal event, a hole or a broken chain is an
    /// error.
    pub async fn read(world: &World) -> Result<Self> {
        let AuditedLedger { messages, foreign, last_sequence } = read_ledger(world).await?;
        let folds = stream::fold(&messages)?;
        for (id, fold) in &folds {
            ensure!(fold.violations == 0, "submission {id} has {} illegal events", fold.violations);
        }
        Ok(Self { messages, foreign, last_sequence, folds })
    }

    /// Checks everything that must hold once all of `submitted`, and nothing else, has been
    /// accepted and has ended.
    pub async fn settled(world: &World, submitted: &[Submitted]) -> Result<Self> {
        let audit = Self::read(world).await?;
        audit.check_ends(submitted)?;
        audit.check_objects(world).await?;
        audit.check_views(world).await?;
        Ok(audit)
    }

    /// I9: no reference to an object dangles. Returns how many objects there are.
    pub async fn check_objects(&self, world: &World) -> Result<usize> {
        objects::check(world, &self.messages).await
    }

    /// I1 and I2: every 2xx has its accepted event, nothing else has one, and each has exactly one
    /// end.
    pub fn check_ends(&self, submitted: &[Submitted]) -> Result<()> {
        let promised: BTreeSet<&str> =
            submitted.iter().map(|submitted| submitted.id.as_str()).collect();
        ensure!(promised.len() == submitted.len(), "two answers promise the same submission");
        for Submitted { id, sequence, .. } in submitted {
            let submission = self.submission(id)?;
            ensure!(
                submission.accepted_sequence == *sequence,
                "{id} was promised at another sequence"
            );
        }
        for (id, fold) in &self.folds {
            ensure!(
                promised.contains(id.to_string().as_str()),
                "submission {id} was promised to no client"
            );
            let ends = self.messages.iter().filter(|message| message.ends(*id)).count();
            ensure!(ends == 1, "submission {id} has {ends} ends: {fold:?}");
        }
        Ok(())
    }

    /// I6 and I7: both views are the fold of the replay.
    pub async fn check_views(&self, world: &World) -> Result<()> {
        let last = self.last_sequence;
        wait_until("Postgres has the whole ledger", CATCH_UP_PATIENCE, async || {
            postgres::caught_up(world.postgres(), last).await
        })
        .await?;
        postgres::compare(world.postgres(), &self.folds).await?;
        postgres::compare_quarantine(world.postgres(), &self.foreign).await?;
        wait_until("MongoDB has the whole ledger", CATCH_UP_PATIENCE, async || {
            progress::caught_up(world.mongo(), last).await
        })
        .await?;
        progress::compare(world.mongo(), &self.messages).await
    }

    /// Returns the fold of a submission.
    pub fn submission(&self, id: &str) -> Result<&Submission> {
        let fold = self.folds.get(&id.parse().context("an id is a UUID")?);
        fold.and_then(|fold| fold.submission.as_ref())
            .with_context(|| format!("submission {id} is not in the ledger"))
    }
}
