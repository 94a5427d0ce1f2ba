//! The client of our HTTP API, for the command line, `cargo dev` and the tests. Knows requests and
//! answers, and nothing of command lines or of the services.

mod answer;
mod client;
mod error;
mod problem;
mod request;
mod retry;
mod views;

pub use self::answer::{HttpAnswer, Submitted};
pub use self::client::{Client, idempotency_header};
pub use self::error::ClientError;
pub use self::problem::ServerProblem;
pub use self::request::{NamedChecker, NewCase, NewSubmission};
pub use self::views::{
    CaseView, EventView, FailureView, LanguageEntry, LanguageList, LanguageView, OutputView,
    QuarantineEntry, QuarantineList, ScoreView, StoredEvent, SubmissionView, UsageView, has_ended,
};
