//! Putting what happened into the ledger and the object store, however long that takes: a result is kept until it
//! stands. Decides nothing about submissions.

use events::envelope::Writer;
use events::{Command, Content, ObjectBucket, Rejection};
use ledger::{Aggregate, ExecuteError, Ledger, ReadError};
use metrics::{counter, histogram};
use tokio::time::Instant;
use tracing::warn;

use crate::metrics::{APPEND_SECONDS, APPENDS_DEFERRED};
use crate::patience::Patience;
use crate::run::outputs::{Placed, captured, place};
use crate::runner::Blobs;

/// Why an event does not stand, and never will.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    /// The submission's state forbids it: it was cancelled, or somebody else took over.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The ledger does not take it.
    #[error("the ledger does not take the event")]
    Refused(#[source] ExecuteError),
    /// The submission's events cannot be read.
    #[error("the submission cannot be read")]
    Unreadable(#[source] ReadError),
}

/// Appends what a command makes of a submission. Waits as long as the ledger is full or away.
pub(super) async fn append(
    ledger: &Ledger,
    aggregate: &mut Aggregate,
    command: Command,
    writer: &Writer,
) -> Result<(), AppendError> {
    let (began, name) = (Instant::now(), name(&command));
    let mut patience = Patience::new();
    loop {
        let error = match ledger.execute(aggregate, command.clone(), writer).await {
            Ok(_recorded) => {
                histogram!(APPEND_SECONDS, "event" => name).record(began.elapsed());
                return Ok(());
            }
            Err(error) => error,
        };
        match error {
            ExecuteError::Rejected(rejection) => return Err(rejection.into()),
            ExecuteError::Read(ReadError::Unavailable(_))
            | ExecuteError::Full
            | ExecuteError::Unavailable(_) => {
                counter!(APPENDS_DEFERRED).increment(1);
                warn!(
                    error = &error as &dyn std::error::Error,
                    event = name,
                    "an event has to wait"
                );
                patience.wait().await;
            }
            ExecuteError::Read(unreadable) => return Err(AppendError::Unreadable(unreadable)),
            refused @ (ExecuteError::SubjectFull
            | ExecuteError::TooLarge
            | ExecuteError::Refused(_)) => {
                return Err(AppendError::Refused(refused));
            }
        }
    }
}

/// Names a command in metrics, by the event that it leads to.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Accept(_) => "accepted",
        Command::Start(_) => "started",
        Command::RecordCompilation(_) => "compiled",
        Command::RecordResults(_) => "judged",
        Command::DeclareLost(_) => "lost",
        Command::RequestCancellation(_) => "cancellation_requested",
        Command::Cancel(_) => "cancelled",
        Command::Complete(_) => "completed",
        Command::Fail(_) => "failed",
    }
}

/// Puts outputs that share an event where they belong. Waits as long as the object store is full or away.
pub(super) async fn store<const N: usize>(
    blobs: &dyn Blobs,
    outputs: [sandbox::protocol::Captured; N],
) -> [events::Captured; N] {
    let mut stored = [const { None }; N];
    for (slot, placed) in stored.iter_mut().zip(place(outputs)) {
        *slot = Some(match placed {
            Placed::Inline(output) => {
                captured(Content::inline(output.bytes), output.total_bytes, output.truncated)
            }
            Placed::Object(output) => {
                let content = put(blobs, output.bytes).await;
                captured(content, output.total_bytes, output.truncated)
            }
        });
    }
    stored.map(|output| output.expect("every slot was filled"))
}

async fn put(blobs: &dyn Blobs, bytes: Vec<u8>) -> Content {
    let mut patience = Patience::new();
    loop {
        match blobs.put(ObjectBucket::Outputs, bytes.clone()).await {
            Ok(object) => return Content::Object(object),
            Err(error) => {
                counter!(APPENDS_DEFERRED).increment(1);
                warn!(error = &error as &dyn std::error::Error, "an output has to wait");
                patience.wait().await;
            }
        }
    }
}
