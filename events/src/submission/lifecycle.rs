//! What the rules ask of a submission, and nothing else of it: six small facts.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use crate::event::{Accepted, Event, Suite};

/// The state that clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, IntoStaticStr)]
#[derive(VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// In the queue.
    Accepted,
    /// An attempt was started. If it is lost, the state stays, since it must never step back.
    Running,
    /// A client asked to cancel a running submission, and its executor has not answered yet.
    Cancelling,
    /// There is a verdict.
    Completed,
    /// The platform could not run it.
    Failed,
    /// Cancelled before there was a verdict.
    Cancelled,
}

impl State {
    /// Tells whether nothing legal follows.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled => true,
            Self::Accepted | Self::Running | Self::Cancelling => false,
        }
    }
}

/// Where a submission is in its life. A reader that needs nothing else of a submission can remember
/// this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Lifecycle {
    pub state: State,
    /// How many cases it has.
    pub case_count: u32,
    /// The number of the last attempt, 0 before the first.
    pub attempt: u32,
    /// Whether that attempt is lost.
    pub lost: bool,
    /// Whether that attempt has compiled.
    pub compiled: bool,
    /// How many results that attempt has; 0 once the submission has ended.
    // No rule asks after the end, so the verdict's own results need no count.
    pub results: u32,
}

impl Lifecycle {
    /// Returns the lifecycle of a submission that was just accepted.
    pub fn begin(accepted: &Accepted) -> Self {
        Self {
            state: State::Accepted,
            case_count: accepted.suite.as_ref().map_or(0, Suite::count),
            attempt: 0,
            lost: false,
            compiled: false,
            results: 0,
        }
    }

    /// Returns the attempt that runs: the last one, unless it is lost or the submission has ended.
    pub const fn running_attempt(self) -> Option<u32> {
        if self.attempt == 0 || self.lost || self.state.is_terminal() {
            None
        } else {
            Some(self.attempt)
        }
    }

    /// Returns the lifecycle after `event`, which is legal here.
    pub(super) fn after(self, event: &Event) -> Self {
        let ended = |state| Self { state, results: 0, ..self };
        match event {
            // Illegal in a submission that exists, so this never changes one.
            Event::Accepted(accepted) => Self::begin(accepted),
            Event::Started(started) => Self {
                state: State::Running,
                attempt: started.attempt,
                lost: false,
                compiled: false,
                results: 0,
                ..self
            },
            Event::Compiled(_) => Self { compiled: true, ..self },
            Event::Judged(judged) => {
                // Cannot saturate: the rules refuse more results than cases.
                let more = u32::try_from(judged.results.len()).unwrap_or(u32::MAX);
                Self { results: self.results.saturating_add(more), ..self }
            }
            // The state stays `running`: a client must never see it step back.
            Event::Lost(_) => Self { lost: true, ..self },
            Event::CancellationRequested(_) => Self { state: State::Cancelling, ..self },
            Event::Completed(_) => ended(State::Completed),
            Event::Failed(_) => ended(State::Failed),
            Event::Cancelled(_) => ended(State::Cancelled),
        }
    }
}
