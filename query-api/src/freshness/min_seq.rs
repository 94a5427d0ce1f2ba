//! Reads one submission: from the view if the view is new enough, else folded from the ledger. Of
//! two answers the newer one counts, and no answer is older than `min_seq` or than what any client
//! of this process has seen.

use std::error::Error as StdError;
use std::sync::Arc;

use events::{Submission, SubmissionId};
use ledger::Ledger;
use tracing::{error, warn};
use views::error::ViewError;
use views::results::{FoundSubmission, ResultsView};

use super::seen::SeenSequences;
use crate::error::QueryError;
use crate::metrics;

/// Reads single submissions, none of them older than a client may expect.
#[derive(Debug)]
pub(crate) struct FreshSubmissions {
    view: Arc<dyn ResultsView>,
    ledger: Ledger,
    seen: SeenSequences,
}

impl FreshSubmissions {
    pub(crate) fn new(view: Arc<dyn ResultsView>, ledger: Ledger) -> Self {
        Self { view, ledger, seen: SeenSequences::default() }
    }

    /// Reads a submission. The answer has every event of it up to `min_seq`.
    pub(crate) async fn read(
        &self,
        id: SubmissionId,
        min_seq: u64,
    ) -> Result<Option<Submission>, QueryError> {
        let floor = self.seen.floor(id).max(min_seq);
        let found = match self.view.find(id).await {
            Ok(found) => found,
            Err(error) => {
                // Not an error to the client: a view that is away is a view that knows nothing yet,
                // and the ledger answers.
                report(&error);
                FoundSubmission { position: 0, submission: None }
            }
        };
        match found.submission {
            Some(submission) if is_new_enough(&submission, found.position, floor) => {
                self.seen.forget(id, submission.sequence.max(found.position));
                metrics::read_from("view");
                Ok(Some(submission))
            }
            behind => self.fold(id, behind).await,
        }
    }

    /// Folds a submission from the ledger. The answer is `behind`, which the view had, if the fold
    /// is older.
    pub(crate) async fn fold(
        &self,
        id: SubmissionId,
        behind: Option<Submission>,
    ) -> Result<Option<Submission>, QueryError> {
        // If the ledger is away, this is an error although `behind` may be known: a client that has
        // seen more would be shown a step back.
        let folded = self.ledger.load(id).await?.map(|found| found.submission);
        metrics::read_from("ledger");
        // The fold need not be the newer one: a leader that has just been elected may lack what the
        // view has already.
        let newest = [behind, folded].into_iter().flatten().max_by_key(|known| known.sequence);
        if let Some(newest) = &newest {
            self.seen.note(id, newest.sequence);
        }
        Ok(newest)
    }
}

/// Tells whether a view's answer has every event up to `floor`.
fn is_new_enough(submission: &Submission, position: u64, floor: u64) -> bool {
    // Nothing follows the end of a submission, so the view cannot be behind in it.
    submission.state.is_terminal() || submission.sequence.max(position) >= floor
}

fn report(error: &ViewError) {
    let cause: &(dyn StdError + 'static) = error;
    match error {
        ViewError::Away { .. } => warn!(error = cause, "the results view is away, folding"),
        ViewError::Impossible(_) => error!(error = cause, "the results view is wrong, folding"),
    }
}
