//! The service's parts in one value, and the questions that it answers. Headers are the routes'
//! business, and statuses that of `error`.

use std::sync::Arc;
use std::time::Duration;

use events::{Clock, Event, Submission, SubmissionId, UserId};
use ledger::{Ledger, ObjectStore, Stored};
use platform::auth::Verifier;
use sandbox::languages::Catalog;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::instrument;
use views::progress::{ProgressView, UserProgress};
use views::results::{ListQuery, ResultsView, Summary};

use crate::body::{FetchedOutputs, OutputBody, captured_outputs};
use crate::error::QueryError;
use crate::freshness::FreshSubmissions;
use crate::long_poll::{Waiters, wait_for_change};

/// Answers whose outputs are fetched at the same time. Further ones take their turn.
// Each answer may hold several MiB of fetched outputs, so this is the bound on memory.
const FETCHES_MAX: usize = 32;

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
    pub waiters: Arc<Waiters>,
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
    /// One permit for each answer whose outputs may be fetched at the same time.
    fetches: Semaphore,
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
        let submissions = FreshSubmissions::new(Arc::clone(&parts.results), parts.ledger.clone());
        Self(Arc::new(Inner { parts, submissions, fetches: Semaphore::new(FETCHES_MAX) }))
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
    ) -> Result<Submission, QueryError> {
        // Waiting begins before the first read, so that no change falls in between.
        let waiter = if poll.wait.is_zero() { None } else { self.0.parts.waiters.wait_for(id) };
        // A change that was announced earlier wakes no waiter again, so the first read has to have
        // it, even if the view does not have it yet.
        let announced = waiter.as_ref().map_or(0, |_| self.0.parts.waiters.heard());
        let first = self.0.submissions.read(id, poll.min_seq.max(announced)).await?;
        // Another user's submission is absent and not forbidden: a 403 would confirm the id.
        let first =
            first.filter(|known| sight.covers(&known.principal)).ok_or(QueryError::NotFound)?;
        match waiter {
            Some(waiter) if !first.state.is_terminal() && (poll.has)(&first) => {
                // Only here, since an ended submission never changes: the wait would last its full
                // time.
                let (submissions, stop) = (&self.0.submissions, &self.0.parts.stop);
                Ok(wait_for_change(first, waiter, poll.wait, submissions, stop).await)
            }
            _ => Ok(first),
        }
    }

    /// Fetches a submission's outputs, wherever they lie.
    pub(crate) async fn fetch_outputs(
        &self,
        submission: &Submission,
    ) -> Result<FetchedOutputs, QueryError> {
        let mut outputs = [None, None, None];
        let captured = captured_outputs(submission).into_iter().flatten();
        // Outputs that are in the events themselves need not queue up behind an object store that
        // may be away.
        let is_fetched = captured.map(|output| output.content.bytes()).any(|bytes| bytes.is_err());
        let _turn = if is_fetched { Some(self.0.fetches.acquire().await) } else { None };
        for (output, captured) in outputs.iter_mut().zip(captured_outputs(submission)) {
            if let Some(captured) = captured {
                let bytes = match captured.content.bytes() {
                    Ok(bytes) => bytes.to_vec(),
                    Err(object) => self.0.parts.outputs.get(object).await?,
                };
                *output = Some(OutputBody::of(captured, bytes));
            }
        }
        let [stdout, stderr, compile_output] = outputs;
        Ok(FetchedOutputs { stdout, stderr, compile_output })
    }

    /// Returns a submission's record in the ledger, in order; never empty.
    #[instrument(skip_all, fields(submission.id = %id))]
    pub(crate) async fn history(
        &self,
        id: SubmissionId,
        sight: &Sight,
    ) -> Result<Vec<Stored>, QueryError> {
        // From the ledger and not from the view: a client checks the hash chain over these bytes.
        let history = self.0.parts.ledger.history(id).await?;
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

    /// Returns a user's progress, which a new user does not have yet.
    #[instrument(skip_all)]
    pub(crate) async fn progress(&self, user: &UserId) -> Result<Option<UserProgress>, QueryError> {
        Ok(self.0.parts.progress.find_user(user).await?)
    }
}
