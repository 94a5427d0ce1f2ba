//! The events of a submission, and their types as they are stored.

mod accepted;
mod ending;
mod execution;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::content::ObjectRef;

pub use accepted::{
    Accepted, CASE_NAME_BYTES_MAX, CASES_MAX, Case, Checker, LanguageRef, Origin, SourceFile, Suite,
};
pub use ending::{
    CancellationRequested, Cancelled, CasesSummary, Completed, Failed, FailureClass, Timings,
};
pub use execution::{CaseResult, Compiled, Isolation, Judged, Lost, LostReason, Started};

/// Everything that can happen to a submission.
// Each type stands twice, for serde and for strum; `tests/variants.rs` holds the two equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// A client's submission is in the ledger, and so in the queue.
    #[serde(rename = "submission.accepted")]
    #[strum(serialize = "submission.accepted")]
    // Boxed, as the verdict is: without it every event would be as large as these two.
    Accepted(Box<Accepted>),
    /// An executor has begun an attempt.
    #[serde(rename = "execution.started")]
    #[strum(serialize = "execution.started")]
    Started(Started),
    /// The compiler has ended.
    #[serde(rename = "execution.compiled")]
    #[strum(serialize = "execution.compiled")]
    Compiled(Compiled),
    /// Some cases are judged, and more are to come.
    #[serde(rename = "execution.judged")]
    #[strum(serialize = "execution.judged")]
    Judged(Judged),
    /// An attempt was lost with its executor or its cell.
    #[serde(rename = "execution.lost")]
    #[strum(serialize = "execution.lost")]
    Lost(Lost),
    /// A client has asked to cancel it.
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

    /// Returns the number of the newest stored form of this event's type. Older forms are upcast
    /// when they are read.
    pub fn form(&self) -> u16 {
        newest_form(self.kind())
    }

    /// Returns the attempt that the event belongs to; 0 if it belongs to none.
    pub fn attempt(&self) -> u32 {
        // Types are named one by one here and below, so that a new type does not compile before
        // each question is answered for it.
        match self {
            // A cancellation is about the submission, whichever attempt runs meanwhile.
            Self::Accepted(_) | Self::CancellationRequested(_) | Self::Cancelled(_) => 0,
            Self::Started(started) => started.attempt,
            Self::Compiled(compiled) => compiled.attempt,
            Self::Judged(judged) => judged.attempt,
            Self::Lost(lost) => lost.attempt,
            Self::Completed(completed) => completed.attempt,
            Self::Failed(failed) => failed.attempts,
        }
    }

    /// Returns the place among the events of the same type and attempt: the first case of a group
    /// of results, else 0.
    pub fn ordinal(&self) -> u32 {
        match self {
            // An attempt may record many groups: without this, their ids would be the same.
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

    /// Returns every object that the event refers to.
    pub fn objects(&self) -> Vec<&ObjectRef> {
        match self {
            Self::Accepted(accepted) => accepted.objects(),
            Self::Compiled(compiled) => compiled.output.content.bytes().err().into_iter().collect(),
            Self::Completed(completed) => {
                let outputs = [&completed.stdout, &completed.stderr];
                outputs.into_iter().filter_map(|output| output.content.bytes().err()).collect()
            }
            Self::Started(_)
            | Self::Judged(_)
            | Self::Lost(_)
            | Self::CancellationRequested(_)
            | Self::Failed(_)
            | Self::Cancelled(_) => Vec::new(),
        }
    }

    /// Returns how many bytes stand in the event whose number a client or a program chose.
    pub fn inline_bytes(&self) -> u64 {
        match self {
            Self::Accepted(accepted) => accepted.inline_bytes(),
            Self::Compiled(compiled) => compiled.output.content.inline_bytes(),
            Self::Completed(completed) => {
                let Completed { stdout, stderr, .. } = completed.as_ref();
                stdout.content.inline_bytes() + stderr.content.inline_bytes()
            }
            Self::Started(_)
            | Self::Judged(_)
            | Self::Lost(_)
            | Self::CancellationRequested(_)
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

/// The types that have changed since form 1, each with the number of its newest form.
const CHANGED: &[(&str, u16)] = &[
    ("submission.accepted", 2),
    ("execution.started", 2),
    ("execution.compiled", 2),
    ("execution.judged", 2),
    ("execution.completed", 2),
];

/// Returns the number of the newest form of a stored type.
pub(crate) fn newest_form(kind: &str) -> u16 {
    CHANGED.iter().find(|(changed, _)| *changed == kind).map_or(1, |(_, form)| *form)
}
