//! The vocabulary and the rules of the ledger: ids, limits, subjects, the stored forms of events,
//! and what may happen to a submission.
//!
//! Pure: no IO, no async, no clock and no randomness of its own.
#![warn(clippy::wildcard_enum_match_arm)]

mod column_values;
pub mod content;
pub mod digest;
pub mod envelope;
pub mod event;
pub mod ids;
pub mod limits;
pub mod names;
pub mod ports;
pub mod position;
pub mod room;
pub mod subject;
pub mod submission;
#[cfg(feature = "testing")]
pub mod testing;
pub mod verdict;
mod words;

/// An instant, always in UTC.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// The list of an enum's variants: `State::ALL`.
pub use strum::VariantArray;

pub use content::{Captured, Content, ObjectBucket, ObjectRef};
pub use digest::Digest;
pub use envelope::{Envelope, FormError, Recorded};
pub use event::Event;
pub use ids::{BootId, EventId, LedgerId, SubmissionId};
pub use limits::{LimitPolicy, Limits};
pub use names::{EndUser, ExecutorName, FileName, LanguageSlug, PoolName, UserId};
pub use ports::{Clock, IdSource};
pub use position::LedgerPosition;
pub use subject::{Family, Lane, Priority, QueueName, Subject};
pub use submission::{Fold, Rejection, State, Submission};
pub use verdict::{Exit, StopCause, Usage, Verdict};
