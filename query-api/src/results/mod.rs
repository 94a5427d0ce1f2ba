//! The view of submissions: what it can be asked, and the types in which it answers. Who may see what is not its business.

mod breaker;
pub mod postgres;
pub mod query;
mod rows;

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::event::{CasesSummary, LanguageRef};
use events::{Lane, LanguageSlug, State, Submission, SubmissionId, Usage, UserId, Verdict};

/// Answers from the view.
#[async_trait]
pub trait ResultsView: fmt::Debug + Send + Sync {
    /// Looks a submission up.
    async fn find(&self, id: SubmissionId) -> Result<Found, ViewError>;

    /// Lists submissions, the newest first.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Summary>, ViewError>;

    /// Asks for a sign of life.
    async fn ping(&self) -> Result<(), ViewError>;
}

/// What the view knows of one submission, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Every event up to this sequence is in the view.
    pub position: u64,
    /// The submission, if its acceptance is in the view.
    pub submission: Option<Submission>,
}

/// Which submissions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Whose.
    pub principal: UserId,
    /// Only those accepted before this sequence.
    pub before: Option<u64>,
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those in this language.
    pub language: Option<LanguageSlug>,
    /// Only those of this lane.
    pub lane: Option<Lane>,
    /// At most so many.
    pub limit: u32,
}

/// A submission in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The submission.
    pub id: SubmissionId,
    /// Its state.
    pub state: State,
    /// Its verdict, where there is one.
    pub verdict: Option<Verdict>,
    /// Its language.
    pub language: LanguageRef,
    /// Its lane.
    pub lane: Lane,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it used.
    pub usage: Option<Usage>,
    /// Its cases in short.
    pub cases: Option<CasesSummary>,
    /// The sequence of its accepted event, by which lists are ordered.
    pub accepted_sequence: u64,
    /// The sequence of its last event.
    pub sequence: u64,
}

/// Why the view has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Postgres does not answer, or not in time.
    #[error("the results view does not answer")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row is impossible.
    #[error(transparent)]
    Impossible(#[from] Impossible),
}

/// A stored value that cannot be, by where it stands.
#[derive(Debug, thiserror::Error)]
#[error("impossible value in {table}.{column} of {key}")]
pub struct Impossible {
    /// The table, view or collection.
    pub table: &'static str,
    /// The column or member.
    pub column: String,
    /// The row's or document's key.
    pub key: String,
    /// What is wrong with it.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
