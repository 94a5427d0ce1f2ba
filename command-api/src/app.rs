//! The service's parts in one value, and the use cases over them. What a request said comes in as
//! values; headers, bodies and statuses are the business of `routes` and `error`.

use std::sync::Arc;

use events::envelope::Writer;
use events::event::CancellationRequested;
use events::{
    BootId, Digest, Event, IdSource, LimitPolicy, Rejection, State, Submission, SubmissionId,
    UserId,
};
use ledger::{Accepting, Aggregate, ExecuteError, Ledger, ObjectStore};
use platform::auth::Verifier;
use sandbox::languages::Catalog;
use tracing::{instrument, warn};

use crate::admission::Admission;
use crate::announcer::CancellationAnnouncer;
use crate::config::TotalTimeConfig;
use crate::error::ApiError;
use crate::fair_shares::{FairShares, ShareOwner};
use crate::metrics;
use crate::owed_room::Owing;
use crate::submission::key::IdempotencyKey;
use crate::submission::storing::ObjectRoom;
use crate::submission::{Draft, Rules, ValidSubmission, storing};

/// Everything that a request needs. Clones share it.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

/// What [`App`] is made of.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Parts {
    pub ledger: Ledger,
    pub objects: Arc<dyn ObjectStore>,
    pub announcer: Arc<dyn CancellationAnnouncer>,
    pub admission: Arc<Admission>,
    pub verifier: Arc<Verifier>,
    pub catalog: Catalog,
    pub policy: LimitPolicy,
    pub total_time: TotalTimeConfig,
    pub shares: FairShares,
    pub ids: Arc<dyn IdSource>,
    pub instance: BootId,
}

/// Who asks, and in which trace.
#[derive(Clone, Debug)]
pub struct Requester {
    /// The caller.
    pub user: UserId,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// What a client is told of a submission that was taken in or is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The submission.
    pub id: SubmissionId,
    /// The sequence of the last event that this tells of; readers take it as `min_seq`.
    pub sequence: u64,
    /// The state.
    pub state: State,
}

impl From<Parts> for App {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl App {
    /// Returns what checks tokens.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.0.verifier
    }

    /// Returns what decides whether submissions are admitted.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.0.admission
    }

    /// Takes a submission in. If the key stands for the same request already, acknowledges that
    /// submission again.
    #[instrument(skip_all, fields(submission.id = tracing::field::Empty))]
    pub async fn accept(
        &self,
        requester: &Requester,
        key: Option<IdempotencyKey>,
        draft: Draft,
    ) -> Result<Acknowledgement, ApiError> {
        let valid = Rules { catalog: &self.0.catalog, policy: &self.0.policy }.validate(draft)?;
        let fresh = SubmissionId::new(self.0.ids.new_id());
        let id = match &key {
            Some(key) => fresh.under_idempotency_key(&requester.user, key.as_str()),
            None => fresh,
        };
        tracing::Span::current().record("submission.id", tracing::field::display(id));
        let (needed, cases) = (valid.needed_language(), valid.case_count());
        let request_hash = valid.request_hash();
        let answered = match self.0.admission.admit(id, &requester.user, needed, cases) {
            Ok(owing) => self.append(id, requester, valid, owing).await,
            Err(refusal) => Err(refusal),
        };
        match answered {
            // A retry of a submission that is stored already needs neither room nor an executor.
            // Otherwise the append itself tells of it, and there is no read before.
            Err(refusal) if key.is_some() && refusal.comes_before_the_append() => {
                let existing = self.0.ledger.load_by_key_part(id).await?;
                acknowledge_again(&existing.ok_or(refusal)?, request_hash)
            }
            answered => answered,
        }
    }

    async fn append(
        &self,
        id: SubmissionId,
        requester: &Requester,
        valid: ValidSubmission,
        owing: Owing,
    ) -> Result<Acknowledgement, ApiError> {
        // If another request under the same key is faster, the objects are the same, since they are
        // named by their content.
        let objects = self.0.objects.as_ref();
        let room = ObjectRoom { objects, admission: &self.0.admission };
        let (user, total_time) = (requester.user.clone(), self.0.total_time);
        let mut accepted = storing::store(room, user, total_time, valid).await?;
        let entered = self.0.shares.enter(id, &ShareOwner::from(&accepted));
        accepted.priority = entered.priority;
        let (lane, priority) = (accepted.lane, accepted.priority);
        let request_hash = accepted.request_hash;
        match self.0.ledger.accept(id, accepted, &self.writer(requester)).await? {
            Accepting::New(aggregate) => {
                entered.keep();
                owing.keep();
                metrics::accepted(lane, priority);
                let known = &aggregate.submission;
                Ok(Acknowledgement::for_submission(known, known.accepted_sequence))
            }
            Accepting::Existing(existing) => acknowledge_again(&existing, request_hash),
        }
    }

    /// Asks for a submission's end.
    #[instrument(skip_all, fields(submission.id = %id))]
    pub async fn cancel(
        &self,
        requester: &Requester,
        id: SubmissionId,
        may_cancel: impl Fn(&UserId) -> bool,
        reason: Option<String>,
    ) -> Result<Acknowledgement, ApiError> {
        let found = self.0.ledger.load(id).await?;
        let mut aggregate = found
            .filter(|found| may_cancel(&found.submission.principal))
            // The same answer for another user's submission as for none, so that ids cannot be
            // probed.
            .ok_or(ApiError::NotFound)?;
        let request = CancellationRequested { by: actor(&requester.user), reason };
        let requested = Event::CancellationRequested(request);
        match self.0.ledger.execute(&mut aggregate, requested, &self.writer(requester)).await {
            Ok(_recorded) => metrics::cancellation_requested(),
            // It was asked for before. The executors are told again, since the first signal may
            // have been lost.
            Err(ExecuteError::Rejected(Rejection::CancellationPending)) => {}
            Err(error) => return Err(error.into()),
        }
        self.announce(&aggregate).await;
        let known = &aggregate.submission;
        Ok(Acknowledgement::for_submission(known, known.sequence))
    }

    /// Tells the executors of a cancellation.
    async fn announce(&self, aggregate: &Aggregate) {
        // A signal that is lost costs time and nothing else: the executor's next append finds the
        // cancellation.
        if let Err(error) = self.0.announcer.announce_cancellation(&aggregate.subject).await {
            warn!(error = &*error as &dyn std::error::Error, "cannot announce a cancellation");
        }
    }

    fn writer(&self, requester: &Requester) -> Writer {
        Writer {
            source: "/command-api".to_owned(),
            actor: actor(&requester.user),
            instance: self.0.instance,
            traceparent: requester.traceparent.clone(),
        }
    }
}

fn actor(user: &UserId) -> String {
    format!("user:{user}")
}

/// Acknowledges the submission that a key stands for, if it is the same request.
fn acknowledge_again(
    existing: &Aggregate,
    request_hash: Digest,
) -> Result<Acknowledgement, ApiError> {
    let known = &existing.submission;
    if known.request_hash != request_hash {
        return Err(ApiError::KeyReused);
    }
    metrics::repeated();
    tracing::Span::current().record("submission.id", tracing::field::display(known.id));
    Ok(Acknowledgement::for_submission(known, known.accepted_sequence))
}

impl Acknowledgement {
    fn for_submission(submission: &Submission, sequence: u64) -> Self {
        Self { id: submission.id, sequence, state: submission.state }
    }
}
