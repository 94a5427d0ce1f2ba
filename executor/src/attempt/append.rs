//! Putting one event into the ledger, however long that takes: a result is kept until it is stored.
//! Decides nothing about submissions.

use std::error::Error;

use backon::RetryableWithContext;
use events::Event;
use events::envelope::Writer;
use ledger::{Aggregate, ExecuteError, Ledger, ReadError};
use metrics::{counter, histogram};
use tokio::time::Instant;
use tracing::warn;

use crate::metrics::{APPEND_SECONDS, APPENDS_DEFERRED};
use crate::waits::until_back;

/// Appends an event of a submission. Waits as long as the ledger is full or away, so an error is
/// for good.
pub(super) async fn append<'a>(
    ledger: &Ledger,
    aggregate: &'a mut Aggregate,
    event: &Event,
    writer: &Writer,
) -> Result<(), ExecuteError> {
    let (began, label) = (Instant::now(), label(event));
    // The aggregate goes along, since an append that meets a conflict reads it anew.
    let try_once = |aggregate: &'a mut Aggregate| async move {
        let appended = ledger.execute(aggregate, event.clone(), writer).await;
        (aggregate, appended)
    };
    let (_aggregate, appended) = try_once
        .retry(until_back())
        .context(aggregate)
        .when(may_come_back)
        .notify(|error, _wait| {
            counter!(APPENDS_DEFERRED).increment(1);
            warn!(error = error as &dyn Error, event = label, "append deferred");
        })
        .await;
    appended?;
    histogram!(APPEND_SECONDS, "event" => label).record(began.elapsed());
    Ok(())
}

/// Tells whether the same append may succeed later.
fn may_come_back(error: &ExecuteError) -> bool {
    match error {
        ExecuteError::Full
        | ExecuteError::Unavailable { .. }
        | ExecuteError::Read(ReadError::Unavailable(_)) => true,
        ExecuteError::Rejected(_)
        | ExecuteError::Gone
        | ExecuteError::SubjectFull
        | ExecuteError::TooLarge
        | ExecuteError::Refused(_)
        | ExecuteError::Read(ReadError::Newer { .. } | ReadError::NotAccepted { .. }) => false,
    }
}

/// Names an event in metrics: `started` of `execution.started`.
fn label(event: &Event) -> &'static str {
    let kind = event.kind();
    kind.rsplit_once('.').map_or(kind, |(_aggregate, name)| name)
}
