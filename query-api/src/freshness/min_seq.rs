//! Reads one submission: from the view if the view is new enough, else folded from the ledger. Of
//! two answers the newer one counts, and an answer that would be a step back is never given: then
//! the ledger is asked again, and at last the client is told to come back.

use std::error::Error as StdError;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use events::{Submission, SubmissionId};
use ledger::{Aggregate, Ledger, Stored};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};
use views::error::ViewError;
use views::results::{FoundSubmission, ResultsView};

use super::seen::{Required, SeenSequences};
use crate::error::QueryError;
use crate::metrics;

/// How long a request waits for the view before it asks the ledger.
// Above what a look-up takes on a machine that is at work, and below what a client feels: while the
// view is away and that is not known yet, each poll waits for so long.
const VIEW_TIME_MAX: Duration = Duration::from_millis(40);
/// How often the ledger is read for one answer.
const TRIES_MAX: u32 = 5;
/// The pause between two reads. All of them together outlast an answer of a leader that has just
/// been elected and does not have everything yet.
const TRY_PAUSE: Duration = Duration::from_millis(200);
/// By how much the ledger may grow while one answer waits for it, at the most. A sequence that is
/// further away is refused at once.
const GROWTH_MAX: u64 = 10_000;
/// Submissions that are read from the ledger at once.
// The server has other work, and the events of one submission may have many MiB.
const READS_MAX: usize = 64;
/// How long a request waits until it may read. Ten thousand polls that begin at once all have their
/// turn by then.
const READ_TURN_MAX: Duration = Duration::from_secs(30);

/// Reads single submissions, none of them older than a client may expect.
#[derive(Debug)]
pub(crate) struct FreshSubmissions {
    view: Arc<dyn ResultsView>,
    ledger: Ledger,
    seen: Arc<SeenSequences>,
    /// A permit for each submission that is read from the ledger.
    reads: Semaphore,
}

/// What the view has of a submission.
enum ViewAnswer {
    /// All that a client may expect.
    New(Arc<Submission>),
    /// Less than that, or nothing.
    Behind(Option<Arc<Submission>>),
}

impl FreshSubmissions {
    pub(crate) fn new(
        view: Arc<dyn ResultsView>,
        ledger: Ledger,
        seen: Arc<SeenSequences>,
    ) -> Self {
        Self { view, ledger, seen, reads: Semaphore::new(READS_MAX) }
    }

    /// Reads a submission. The answer has every event of it up to `min_seq`.
    pub(crate) async fn read(
        &self,
        id: SubmissionId,
        min_seq: u64,
    ) -> Result<Option<Arc<Submission>>, QueryError> {
        let required = self.required(id, min_seq);
        let mut view = pin!(self.look_up(id, required));
        let looked = timeout(VIEW_TIME_MAX, &mut view).await;
        match looked {
            Ok(ViewAnswer::New(known)) => return Ok(Some(known)),
            Ok(ViewAnswer::Behind(known)) => return self.fold(id, known, required).await,
            Err(_late) => {}
        }
        match self.fold(id, None, required).await {
            Ok(folded) => Ok(folded),
            // While the ledger is away, a view that is only slow is all there is.
            Err(error) => match view.await {
                ViewAnswer::New(known) => Ok(Some(known)),
                ViewAnswer::Behind(_) => Err(error),
            },
        }
    }

    /// Reads a submission from the ledger.
    pub(crate) async fn read_ledger(
        &self,
        id: SubmissionId,
    ) -> Result<Option<Arc<Submission>>, QueryError> {
        self.fold(id, None, self.required(id, 0)).await
    }

    fn required(&self, id: SubmissionId, min_seq: u64) -> Required {
        let Required { set_backs, own, of_view } = self.seen.required(id);
        Required { set_backs, own: own.max(min_seq), of_view: of_view.max(min_seq) }
    }

    async fn look_up(&self, id: SubmissionId, required: Required) -> ViewAnswer {
        let found = self.view.find(id).await;
        // Asked after the view was read: the history may have gone meanwhile. What the view has
        // then is not even a beginning.
        if self.seen.is_view_gone() {
            return ViewAnswer::Behind(None);
        }
        match found {
            Ok(FoundSubmission { position, submission: Some(known) }) => {
                if is_new_enough(&known, position, required.of_view) {
                    metrics::read_from("view");
                    return ViewAnswer::New(Arc::new(known));
                }
                ViewAnswer::Behind(Some(Arc::new(known)))
            }
            Ok(FoundSubmission { position: _, submission: None }) => ViewAnswer::Behind(None),
            Err(error) => {
                // Not an error to the client: a view that is away is a view that knows nothing yet,
                // and the ledger answers.
                report(&error);
                ViewAnswer::Behind(None)
            }
        }
    }

    /// Folds a submission from the ledger. The answer is `behind`, which was known before, if the
    /// fold is older.
    async fn fold(
        &self,
        id: SubmissionId,
        behind: Option<Arc<Submission>>,
        required: Required,
    ) -> Result<Option<Arc<Submission>>, QueryError> {
        let sequence = required.own;
        let mut newest = behind;
        // Whether the server that answers has everything up to what is required.
        let mut has_required = false;
        for _ in 0..TRIES_MAX {
            // If the ledger is away, this is an error although `newest` may be known: a client that
            // has seen more would be shown a step back.
            let folded = self.load(id).await?.map(|found| Arc::new(found.submission));
            // The fold need not be the newer one: a leader that has just been elected, or one that
            // does not know yet that it was replaced, may lack what is known already.
            newest = newest.into_iter().chain(folded).max_by_key(|known| known.sequence);
            let reaches = |known: &Arc<Submission>| is_new_enough(known, 0, sequence);
            if has_required || sequence == 0 || newest.as_ref().is_some_and(reaches) {
                metrics::read_from("ledger");
                if let Some(newest) = &newest {
                    self.seen.note_answer(id, newest.sequence, required);
                }
                return Ok(newest);
            }
            // `min_seq` may be the sequence of another submission's event. Then the answer is right
            // if it was read after the ledger had that event.
            let last = self.ledger.last_sequence().await?;
            has_required = last >= sequence;
            if sequence > last.saturating_add(GROWTH_MAX) {
                break;
            }
            if !has_required {
                sleep(TRY_PAUSE).await;
            }
        }
        Err(QueryError::Behind { required: sequence })
    }

    /// Reads every event of a submission, in order.
    pub(crate) async fn history(&self, id: SubmissionId) -> Result<Vec<Stored>, QueryError> {
        let _permit = self.permit_to_read().await?;
        Ok(self.ledger.history(id).await?)
    }

    async fn load(&self, id: SubmissionId) -> Result<Option<Aggregate>, QueryError> {
        let _permit = self.permit_to_read().await?;
        Ok(self.ledger.load(id).await?)
    }

    async fn permit_to_read(&self) -> Result<SemaphorePermit<'_>, QueryError> {
        let permit = timeout(READ_TURN_MAX, self.reads.acquire()).await;
        let permit = permit.map_err(|_late| QueryError::Crowded)?;
        Ok(permit.expect("the semaphore is never closed"))
    }
}

/// Tells whether an answer has every event up to `required`. A view has all events up to its
/// position.
fn is_new_enough(submission: &Submission, position: u64, required: u64) -> bool {
    // Nothing follows the end of a submission, so no answer can be behind in it.
    submission.state.is_terminal() || submission.sequence.max(position) >= required
}

fn report(error: &ViewError) {
    let cause: &(dyn StdError + 'static) = error;
    match error {
        ViewError::Away { .. } => warn!(error = cause, "the results view is away, folding"),
        ViewError::Impossible(_) => error!(error = cause, "the results view is wrong, folding"),
    }
}
