//! Putting what happened into the ledger and the object store, however long that takes: a result is kept until it
//! stands. Decides nothing about submissions.

use std::time::Duration;

use events::envelope::Writer;
use events::{Content, Event, ObjectBucket, Rejection};
use ledger::{Aggregate, ExecuteError, Ledger, ObjectError, ReadError};
use metrics::{counter, histogram};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::metrics::{APPEND_SECONDS, APPENDS_DEFERRED};
use crate::patience::Patience;
use crate::run::outputs::{Placed, captured, cut, place};
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

/// Appends an event of a submission. Waits as long as the ledger is full or away.
pub(super) async fn append(
    ledger: &Ledger,
    aggregate: &mut Aggregate,
    event: Event,
    writer: &Writer,
) -> Result<(), AppendError> {
    let (began, name) = (Instant::now(), name(&event));
    let mut patience = Patience::new();
    loop {
        let error = match ledger.execute(aggregate, event.clone(), writer).await {
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

/// Names an event in metrics: `started` of `execution.started`.
fn name(event: &Event) -> &'static str {
    event.kind().rsplit('.').next().expect("a split has at least one part")
}

/// How long an output waits for room in the object store. Admission closes before there is none, so only an operator can make some.
const ROOM_TIME_MAX: Duration = Duration::from_secs(30);
/// What is kept of an output that found no room, in bytes: a verdict is worth more than its text.
const ROOMLESS_BYTES: usize = 4 * 1024;

/// Puts outputs that share an event where they belong. Waits as long as the object store is away; what it has no room for is cut,
/// and says so.
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
            Placed::Object(output) => store_object(blobs, output).await,
        });
    }
    stored.map(|output| output.expect("every slot was filled"))
}

async fn store_object(blobs: &dyn Blobs, output: sandbox::protocol::Captured) -> events::Captured {
    let mut patience = Patience::new();
    let deadline = Instant::now() + ROOM_TIME_MAX;
    loop {
        match blobs.put(ObjectBucket::Outputs, output.bytes.clone()).await {
            Ok(object) => {
                return captured(Content::Object(object), output.total_bytes, output.truncated);
            }
            Err(ObjectError::Full(_)) if Instant::now() >= deadline => {
                error!("there is no room for an output, and it is cut");
                let kept = cut(output, ROOMLESS_BYTES);
                return captured(Content::inline(kept.bytes), kept.total_bytes, kept.truncated);
            }
            Err(error) => {
                counter!(APPENDS_DEFERRED).increment(1);
                warn!(error = &error as &dyn std::error::Error, "an output has to wait");
                patience.wait().await;
            }
        }
    }
}
