//! The service's parts in one value, and the questions that it answers. Headers are the routes'
//! business, and statuses that of `error`.

use std::sync::Arc;
use std::time::Duration;

use events::{Clock, Event, LedgerPosition, ObjectRef, Submission, SubmissionId, UserId};
use ledger::{Ledger, ObjectError, ObjectStore, Stored};
use platform::auth::Verifier;
use sandbox::languages::Catalog;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::instrument;
use views::progress::{ProgressView, UserProgress};
use views::results::{ListQuery, QuarantinedMessage, ResultsView, Summary};

use crate::body::{FetchedOutputs, OutputName};
use crate::config::LargeOutputsConfig;
use crate::error::QueryError;
use crate::freshness::{FreshSubmissions, SeenSequences};
use crate::long_poll::{Waiters, wait_for_change};
use crate::output_ages::OutputAges;

/// How long an answer waits for memory for its outputs.
const MEMORY_TIME_MAX: Duration = Duration::from_secs(10);
const KIB: u64 = 1_024;

/// Everything that a request needs. Clones share it.
#[derive(Clone, Debug)]
pub struct QueryApi(Arc<Inner>);

/// What [`QueryApi`] is made of.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct QueryApiParts {
    /// Answers for single submissions while their view is behind or away.
    pub ledger: Ledger,
    pub results: Arc<dyn ResultsView>,
    pub progress: Arc<dyn ProgressView>,
    /// Has the outputs that are too large for an event.
    pub outputs: Arc<dyn ObjectStore>,
    /// How long those are kept.
    pub outputs_age: Duration,
    pub waiters: Arc<Waiters>,
    /// What the feed notes, and no answer may be behind.
    pub seen: Arc<SeenSequences>,
    pub large_outputs: LargeOutputsConfig,
    pub verifier: Arc<Verifier>,
    pub catalog: Catalog,
    pub clock: Arc<dyn Clock>,
    /// The end of the service, which ends every wait.
    pub stop: CancellationToken,
}

#[derive(Debug)]
struct Inner {
    parts: QueryApiParts,
    submissions: FreshSubmissions,
    /// One permit for each KiB of fetched outputs that may be in memory.
    output_memory: Arc<Semaphore>,
}

/// Whose submissions a caller may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Those of every user.
    All,
    /// One user's.
    Own(UserId),
}

impl Sight {
    /// Tells whether the caller may see what belongs to `owner`.
    pub(crate) fn covers(&self, owner: &UserId) -> bool {
        match self {
            Self::All => true,
            Self::Own(user) => user == owner,
        }
    }
}

/// How long a caller waits for a change, and what the answer must not be behind.
#[derive(Clone, Copy)]
pub(crate) struct LongPoll<'a> {
    pub(crate) wait: Duration,
    pub(crate) min_seq: u64,
    /// Tells whether the caller has a version already. A caller that does not have it is answered
    /// at once.
    pub(crate) has: &'a (dyn Fn(&Submission) -> bool + Sync),
}

impl From<QueryApiParts> for QueryApi {
    fn from(parts: QueryApiParts) -> Self {
        let (view, seen) = (Arc::clone(&parts.results), Arc::clone(&parts.seen));
        let submissions = FreshSubmissions::new(view, parts.ledger.clone(), seen);
        let memory_kib_max = parts.large_outputs.memory_kib_max.get() as usize;
        let output_memory = Arc::new(Semaphore::new(memory_kib_max));
        Self(Arc::new(Inner { parts, submissions, output_memory }))
    }
}

impl QueryApi {
    /// Returns what checks tokens.
    pub(crate) fn verifier(&self) -> &Arc<Verifier> {
        &self.0.parts.verifier
    }

    /// Returns the languages.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.0.parts.catalog
    }

    /// Returns the clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.0.parts.clock.as_ref()
    }

    /// Returns a submission as it is now or, if the caller wants to wait, as it is after its state
    /// has changed.
    #[instrument(skip_all, fields(submission.id = %id))]
    pub(crate) async fn submission(
        &self,
        id: SubmissionId,
        sight: &Sight,
        poll: LongPoll<'_>,
    ) -> Result<Arc<Submission>, QueryError> {
        // Waiting begins before the first read, so that no change falls in between: the read has
        // every event that was noted before, and the waiter is told of every later one.
        let waiter = if poll.wait.is_zero() { None } else { self.0.parts.waiters.wait_for(id) };
        let first = self.read(id, sight, poll.min_seq).await?;
        match waiter {
            Some(waiter) if !first.state.is_terminal() && (poll.has)(&first) => {
                // Only here, since an ended submission never changes: the wait would last its full
                // time.
                let (submissions, stop) = (&self.0.submissions, &self.0.parts.stop);
                match wait_for_change(first, waiter, poll.wait, submissions, stop).await {
                    Some(known) => Ok(known),
                    None => self.read(id, sight, poll.min_seq).await,
                }
            }
            _ => Ok(first),
        }
    }

    async fn read(
        &self,
        id: SubmissionId,
        sight: &Sight,
        min_seq: u64,
    ) -> Result<Arc<Submission>, QueryError> {
        let found = self.0.submissions.read(id, min_seq).await?;
        // Another user's submission is absent and not forbidden: a 403 would confirm the id.
        found.filter(|known| sight.covers(&known.principal)).ok_or(QueryError::NotFound)
    }

    /// Returns which outputs of a submission have expired by now.
    pub(crate) fn output_ages(&self, submission: &Submission) -> OutputAges {
        OutputAges::of(submission, self.0.parts.outputs_age, self.clock().now())
    }

    /// Fetches those outputs of a submission that do not stand in its events and have not expired.
    /// Those that prove to be gone are noted in `ages`.
    pub(crate) async fn fetch_outputs(
        &self,
        submission: &Submission,
        ages: &mut OutputAges,
    ) -> Result<FetchedOutputs, QueryError> {
        let objects: Vec<(OutputName, &ObjectRef)> = OutputName::ALL
            .into_iter()
            .filter(|name| !ages.expired.contains(name))
            .filter_map(|name| Some((name, name.object(submission)?.0)))
            .collect();
        // Most answers have all outputs in the events, and must not queue up behind large ones or
        // behind an object store that is away.
        if objects.is_empty() {
            return Ok(FetchedOutputs::default());
        }
        let memory = Some(self.output_memory(&objects).await?);
        let mut bytes = Vec::new();
        for (name, object) in objects {
            match self.0.parts.outputs.get(object).await {
                Ok(fetched) => bytes.push((name, fetched)),
                Err(ObjectError::Absent(_)) if ages.may_be_gone => ages.expired.push(name),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(FetchedOutputs { bytes, memory })
    }

    /// Waits until there is room in memory for some outputs.
    async fn output_memory(
        &self,
        objects: &[(OutputName, &ObjectRef)],
    ) -> Result<OwnedSemaphorePermit, QueryError> {
        let kib: u64 = objects.iter().map(|(_, object)| object.bytes.div_ceil(KIB)).sum();
        // What is larger than all the room goes alone.
        let max = self.0.parts.large_outputs.memory_kib_max.get();
        let kib = u32::try_from(kib).map_or(max, |kib| kib.min(max));
        let memory = Arc::clone(&self.0.output_memory).acquire_many_owned(kib);
        let memory = timeout(MEMORY_TIME_MAX, memory).await.map_err(|_late| QueryError::Busy)?;
        Ok(memory.expect("the semaphore is never closed"))
    }

    /// Returns a submission's record in the ledger, in order; never empty.
    #[instrument(skip_all, fields(submission.id = %id))]
    pub(crate) async fn history(
        &self,
        id: SubmissionId,
        sight: &Sight,
    ) -> Result<Vec<Stored>, QueryError> {
        // From the ledger and not from the view: a client checks the hash chain over these bytes.
        let history = self.0.submissions.history(id).await?;
        let seen = history.first().is_some_and(|first| {
            let event = &first.recorded.envelope.event;
            matches!(event, Event::Accepted(accepted) if sight.covers(&accepted.principal))
        });
        if seen { Ok(history) } else { Err(QueryError::NotFound) }
    }

    /// Lists submissions from the view.
    #[instrument(skip_all)]
    pub(crate) async fn list(&self, query: &ListQuery) -> Result<Vec<Summary>, QueryError> {
        // No fold stands in for the view here: the ledger has no index by user, and a list would be
        // a read of the whole ledger.
        Ok(self.0.parts.results.list(query).await?)
    }

    /// Lists messages of the ledger that are no event, the last first.
    #[instrument(skip_all)]
    pub(crate) async fn quarantined(
        &self,
        before: Option<LedgerPosition>,
        limit: u32,
    ) -> Result<Vec<QuarantinedMessage>, QueryError> {
        Ok(self.0.parts.results.quarantined(before, limit).await?)
    }

    /// Returns a user's progress, which a new user does not have yet.
    #[instrument(skip_all)]
    pub(crate) async fn progress(&self, user: &UserId) -> Result<Option<UserProgress>, QueryError> {
        Ok(self.0.parts.progress.find_user(user).await?)
    }
}
