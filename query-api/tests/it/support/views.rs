//! The views in memory: as far behind as a test lets them be, and away when it says so.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use events::submission::Outcome;
use events::{Submission, SubmissionId, UserId};
use views::error::{Impossible, ViewError};
use views::progress::{ProgressView, UserProgress};
use views::results::{FoundSubmission, ListQuery, ResultsView, Summary};

/// Submissions by the sequence of their acceptance.
#[derive(Debug, Default)]
pub(crate) struct FakeResults {
    state: Mutex<State>,
    is_away: AtomicBool,
    is_broken: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    position: u64,
    submissions: BTreeMap<u64, Submission>,
}

impl FakeResults {
    pub(crate) fn put(&self, submission: &Submission, position: u64) {
        let mut state = self.state.lock().unwrap();
        state.position = position;
        state.submissions.insert(submission.accepted_sequence, submission.clone());
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// From now on every row is impossible.
    pub(crate) fn break_rows(&self) {
        self.is_broken.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), ViewError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(away("the results view does not answer"));
        }
        if self.is_broken.load(Ordering::SeqCst) {
            let (column, key) = ("state".to_owned(), "x".to_owned());
            let source = "planted".into();
            return Err(Impossible { table: "submissions", column, key, source }.into());
        }
        Ok(())
    }
}

#[async_trait]
impl ResultsView for FakeResults {
    async fn find(&self, id: SubmissionId) -> Result<FoundSubmission, ViewError> {
        self.check()?;
        let state = self.state.lock().unwrap();
        let submission = state.submissions.values().find(|known| known.id == id).cloned();
        Ok(FoundSubmission { position: state.position, submission })
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Summary>, ViewError> {
        self.check()?;
        let state = self.state.lock().unwrap();
        let newest = state.submissions.range(..query.before.unwrap_or(u64::MAX)).rev();
        let wanted = newest.map(|(_, known)| known).filter(|known| {
            known.principal == query.principal
                && query.state.is_none_or(|state| state == known.state)
                && query.lane.is_none_or(|lane| lane == known.lane)
                && query.language.as_ref().is_none_or(|slug| *slug == known.language.slug)
        });
        Ok(wanted.take(query.limit as usize).map(summary).collect())
    }

    async fn ping(&self) -> Result<(), ViewError> {
        self.check()
    }
}

fn summary(known: &Submission) -> Summary {
    let completed = match &known.outcome {
        Some(Outcome::Completed(completed)) => Some(completed),
        Some(Outcome::Failed(_) | Outcome::Cancelled(_)) | None => None,
    };
    Summary {
        id: known.id,
        state: known.state,
        verdict: known.verdict(),
        language: known.language.clone(),
        lane: known.lane,
        accepted_at: known.accepted_at,
        finished_at: known.finished_at,
        usage: completed.and_then(|it| it.program_usage()),
        cases: completed.and_then(|completed| completed.cases.clone()),
        accepted_sequence: known.accepted_sequence,
        sequence: known.sequence,
    }
}

/// One user's progress.
#[derive(Debug, Default)]
pub(crate) struct FakeProgress {
    pub(crate) known: Mutex<Option<(UserId, UserProgress)>>,
    pub(crate) is_away: AtomicBool,
}

#[async_trait]
impl ProgressView for FakeProgress {
    async fn find_user(&self, user: &UserId) -> Result<Option<UserProgress>, ViewError> {
        self.ping().await?;
        let known = self.known.lock().unwrap();
        Ok(known.as_ref().filter(|(owner, _)| owner == user).map(|(_, progress)| progress.clone()))
    }

    async fn ping(&self) -> Result<(), ViewError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(away("the progress view does not answer"));
        }
        Ok(())
    }
}

fn away(detail: &'static str) -> ViewError {
    ViewError::Away { detail, source: "planted".into() }
}
