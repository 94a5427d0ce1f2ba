//! What an event means for a user's progress. Events of outcomes do not name the user; a fact does.

use events::{Digest, Event, Lane, LanguageSlug, Recorded, SubmissionId, UserId, Verdict};
use views::progress::{Moment, Points, TrackedSubmission};

/// One legal event that changes a user's progress.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Fact {
    pub sequence: u64,
    // When the ledger stored the event, and not when it was folded: a rebuild has to come to the
    // same streaks.
    pub at: Moment,
    pub submission: SubmissionId,
    pub principal: UserId,
    pub lane: Lane,
    pub language: LanguageSlug,
    pub suite_sha256: Option<Digest>,
    pub change: Change,
}

/// What happened to a submission, as far as progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was accepted.
    Accepted,
    /// An attempt began.
    Running,
    /// Its cancellation was requested.
    Cancelling,
    /// It has a verdict, and points if it was judged by cases.
    #[expect(missing_docs, reason = "plain data: the names say it")]
    Completed { verdict: Verdict, points: Option<Points> },
    /// The platform could not run it.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Fact {
    /// Reads a legal event of a remembered submission, if it concerns progress.
    pub fn of(tracked: &TrackedSubmission, recorded: &Recorded) -> Option<Self> {
        Some(Self {
            sequence: recorded.sequence,
            at: recorded.stored_at.into(),
            submission: tracked.key.submission,
            principal: tracked.principal.clone(),
            lane: tracked.lane,
            language: tracked.language.clone(),
            suite_sha256: tracked.suite_sha256,
            change: Change::of(&recorded.envelope.event)?,
        })
    }

    /// Returns the suite that this fact says is solved.
    pub fn solved_suite(&self) -> Option<Digest> {
        if self.change.verdict() == Some(Verdict::Accepted) { self.suite_sha256 } else { None }
    }
}

impl Change {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Accepted(_) => Some(Self::Accepted),
            Event::Started(_) => Some(Self::Running),
            Event::CancellationRequested(_) => Some(Self::Cancelling),
            Event::Completed(completed) => Some(Self::Completed {
                verdict: completed.verdict,
                points: completed
                    .cases
                    .as_ref()
                    .map(|cases| Points { earned: cases.points, max: cases.points_max }),
            }),
            Event::Failed(_) => Some(Self::Failed),
            Event::Cancelled(_) => Some(Self::Cancelled),
            // Steps inside one run. No document shows them, and a fact costs a write.
            Event::Compiled(_) | Event::Judged(_) | Event::Lost(_) => None,
        }
    }

    /// Returns the verdict, where there is one.
    pub fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Completed { verdict, points: _ } => Some(verdict),
            Self::Accepted | Self::Running | Self::Cancelling | Self::Failed | Self::Cancelled => {
                None
            }
        }
    }
}
