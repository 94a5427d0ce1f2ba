//! One submission as it stands: from the view where that is new enough, else folded from the ledger. Of two answers the newer
//! one counts, and none is older than what a client has seen.

use std::error::Error as StdError;
use std::sync::Arc;

use events::{Submission, SubmissionId};
use ledger::Ledger;
use tracing::{error, warn};
use views::error::ViewError;
use views::results::{FoundSubmission, ResultsView};

use crate::error::ApiError;
use crate::metrics;
use crate::seen::Seen;

/// Reads submissions.
#[derive(Debug)]
pub(crate) struct Current {
    view: Arc<dyn ResultsView>,
    ledger: Ledger,
    seen: Seen,
}

impl Current {
    pub(crate) fn new(view: Arc<dyn ResultsView>, ledger: Ledger) -> Self {
        Self { view, ledger, seen: Seen::default() }
    }

    /// Reads a submission; what the answer knows is not behind `min_seq`.
    pub(crate) async fn read(
        &self,
        id: SubmissionId,
        min_seq: u64,
    ) -> Result<Option<Submission>, ApiError> {
        let floor = self.seen.floor(id).max(min_seq);
        let found = match self.view.find(id).await {
            Ok(found) => found,
            Err(error) => {
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

    /// Reads a submission from the ledger, whatever the view says.
    pub(crate) async fn read_from_ledger(
        &self,
        id: SubmissionId,
    ) -> Result<Option<Submission>, ApiError> {
        self.fold(id, None).await
    }

    async fn fold(
        &self,
        id: SubmissionId,
        behind: Option<Submission>,
    ) -> Result<Option<Submission>, ApiError> {
        let folded = self.ledger.load(id).await?.map(|found| found.submission);
        metrics::read_from("ledger");
        let newest = [behind, folded].into_iter().flatten().max_by_key(|known| known.sequence);
        if let Some(newest) = &newest {
            self.seen.note(id, newest.sequence);
        }
        Ok(newest)
    }
}

/// Tells whether a view's answer is not behind `floor`. One that has ended has nothing before it.
fn is_new_enough(submission: &Submission, position: u64, floor: u64) -> bool {
    submission.state.is_terminal() || submission.sequence.max(position) >= floor
}

fn report(error: &ViewError) {
    let source = error.source().map(ToString::to_string);
    match error {
        ViewError::Away { .. } => {
            warn!(error = %error, error.source = source, "the results view is away, folding");
        }
        ViewError::Impossible(_) => {
            error!(error = %error, error.source = source, "the results view is wrong, folding");
        }
    }
}
