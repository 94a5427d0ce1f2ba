//! The events of a submission (design §4.3) and their stored forms.

mod accepted;
mod execution;
mod settled;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

pub use accepted::{Accepted, Case, Checker, LanguageRef, Origin, SourceFile, Suite};
pub use execution::{CaseResult, Compiled, Isolation, Judged, Lost, LostReason, Started};
pub use settled::{
    CancellationRequested, Cancelled, CasesSummary, Completed, Failed, FailureClass, Timings,
};

/// Everything that can happen to a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// A client's submission is in the ledger, and so in the queue.
    #[serde(rename = "submission.accepted")]
    #[strum(serialize = "submission.accepted")]
    Accepted(Box<Accepted>),
    /// An executor has begun an attempt.
    #[serde(rename = "execution.started")]
    #[strum(serialize = "execution.started")]
    Started(Started),
    /// The compiler has spoken.
    #[serde(rename = "execution.compiled")]
    #[strum(serialize = "execution.compiled")]
    Compiled(Compiled),
    /// Some cases are judged, more are to come.
    #[serde(rename = "execution.judged")]
    #[strum(serialize = "execution.judged")]
    Judged(Judged),
    /// An attempt was lost with its executor or its cell.
    #[serde(rename = "execution.lost")]
    #[strum(serialize = "execution.lost")]
    Lost(Lost),
    /// Somebody wants it stopped.
    #[serde(rename = "cancellation.requested")]
    #[strum(serialize = "cancellation.requested")]
    CancellationRequested(CancellationRequested),
    /// It ran, and this is the verdict. Terminal.
    #[serde(rename = "execution.completed")]
    #[strum(serialize = "execution.completed")]
    Completed(Box<Completed>),
    /// The platform could not run it. Terminal.
    #[serde(rename = "execution.failed")]
    #[strum(serialize = "execution.failed")]
    Failed(Failed),
    /// It was stopped on request. Terminal.
    #[serde(rename = "submission.cancelled")]
    #[strum(serialize = "submission.cancelled")]
    Cancelled(Cancelled),
}

impl Event {
    /// Every stored type.
    pub const KINDS: &'static [&'static str] = Self::VARIANTS;

    /// Returns the stored type.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Returns the number of the newest stored form of this event's type. Older forms are upcast when read.
    pub const fn form(&self) -> u16 {
        match self {
            Self::Accepted(_)
            | Self::Started(_)
            | Self::Compiled(_)
            | Self::Judged(_)
            | Self::Lost(_)
            | Self::CancellationRequested(_)
            | Self::Completed(_)
            | Self::Failed(_)
            | Self::Cancelled(_) => 1,
        }
    }

    /// Returns the attempt that the event belongs to, 0 where it belongs to none.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Accepted(_) | Self::CancellationRequested(_) | Self::Cancelled(_) => 0,
            Self::Started(started) => started.attempt,
            Self::Compiled(compiled) => compiled.attempt,
            Self::Judged(judged) => judged.attempt,
            Self::Lost(lost) => lost.attempt,
            Self::Completed(completed) => completed.attempt,
            Self::Failed(failed) => failed.attempts,
        }
    }

    /// Returns the place among events of the same type and attempt: the first case of a group of results, else 0.
    pub fn ordinal(&self) -> u32 {
        match self {
            Self::Judged(judged) => judged.first,
            Self::Accepted(_)
            | Self::Started(_)
            | Self::Compiled(_)
            | Self::Lost(_)
            | Self::CancellationRequested(_)
            | Self::Completed(_)
            | Self::Failed(_)
            | Self::Cancelled(_) => 0,
        }
    }

    /// Tells whether nothing legal follows.
    pub const fn is_terminal(&self) -> bool {
        match self {
            Self::Completed(_) | Self::Failed(_) | Self::Cancelled(_) => true,
            Self::Accepted(_)
            | Self::Started(_)
            | Self::Compiled(_)
            | Self::Judged(_)
            | Self::Lost(_)
            | Self::CancellationRequested(_) => false,
        }
    }
}
