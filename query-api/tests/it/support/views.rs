//! The views in memory: as far behind as a test lets them be, and away when it says so.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use events::submission::Outcome;
use events::testing::LEDGER;
use events::{Digest, LedgerPosition, Submission, SubmissionId, UserId};
use views::error::{Impossible, ViewError};
use views::progress::{ProgressView, UserProgress};
use views::results::{FoundSubmission, ListQuery, QuarantinedMessage, ResultsView, Score, Summary};

/// Submissions by the sequence of their acceptance.
#[derive(Debug, Default)]
pub(crate) struct FakeResults {
    state: Mutex<State>,
    is_away: AtomicBool,
    is_broken: AtomicBool,
    is_slow: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    last: Option<LedgerPosition>,
    submissions: BTreeMap<u64, Submission>,
    quarantined: Vec<QuarantinedMessage>,
}

impl FakeResults {
    pub(crate) fn put(&self, submission: &Submission, position: u64) {
        let mut state = self.state.lock().unwrap();
        let digest = Digest::of(b"the last");
        state.last = Some(LedgerPosition { ledger: LEDGER, sequence: position, digest });
        state.submissions.insert(submission.accepted_sequence, submission.clone());
    }

    /// Puts a submission as it is at a position.
    pub(crate) fn put_at(&self, submission: &Submission, last: Option<LedgerPosition>) {
        self.put(submission, 0);
        self.state.lock().unwrap().last = last;
    }

    /// Forgets everything, as a rebuild does with a history that is gone.
    pub(crate) fn clear(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    /// Puts foreign messages into the view, the last first.
    pub(crate) fn quarantine(&self, messages: Vec<QuarantinedMessage>) {
        self.state.lock().unwrap().quarantined = messages;
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// Answers a look-up only after a second, as a database does that has much to do.
    pub(crate) fn be_slow(&self) {
        self.is_slow.store(true, Ordering::SeqCst);
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
        if self.is_slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let state = self.state.lock().unwrap();
        let submission = state.submissions.values().find(|known| known.id == id).cloned();
        let position = state.last.map_or(0, |last| last.sequence);
        Ok(FoundSubmission { position, submission })
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

    async fn quarantined(
        &self,
        before: Option<LedgerPosition>,
        limit: u32,
    ) -> Result<Vec<QuarantinedMessage>, ViewError> {
        self.check()?;
        let state = self.state.lock().unwrap();
        let order = |place: LedgerPosition| (place.sequence, place.ledger, place.digest);
        let is_wanted = |it: &&QuarantinedMessage| {
            before.is_none_or(|before| order(it.place()) < order(before))
        };
        let wanted = state.quarantined.iter().filter(is_wanted);
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn position(&self) -> Result<Option<LedgerPosition>, ViewError> {
        self.check()?;
        Ok(self.state.lock().unwrap().last)
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
        score: completed.and_then(|completed| completed.cases.as_ref()).map(Score::from),
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
