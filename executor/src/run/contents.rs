//! Fetching what a submission is made of, wherever it lies: in its accepted event or in the object
//! store.

use std::error::Error;

use backon::Retryable;
use events::Content;
use events::event::{Case, SourceFile, Suite};
use ledger::{ObjectError, ObjectStore};
use sandbox::protocol::CellFile;
use tracing::warn;

use crate::waits::until_back;

/// How often an object is looked for that should be there: a replica may be a moment behind.
const ABSENT_TRIES_MAX: u32 = 6;

/// What is wrong with the content of a submission.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ContentError {
    /// An object is absent or corrupt.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A test suite is no array of cases.
    #[error("the test suite is malformed")]
    Suite(#[from] serde_json::Error),
    /// A test suite has another number of cases than the event says.
    #[error("the test suite has {here} cases, and was accepted with {accepted}")]
    Count { here: usize, accepted: u32 },
}

/// Fetches the files, as they are written into a cell.
pub(crate) async fn fetch_files(
    objects: &dyn ObjectStore,
    files: &[SourceFile],
) -> Result<Vec<CellFile>, ObjectError> {
    let mut fetched = Vec::with_capacity(files.len());
    for file in files {
        let content = fetch(objects, &file.content).await?;
        fetched.push(CellFile { path: file.name.to_string(), content });
    }
    Ok(fetched)
}

/// Fetches the cases. Their contents stay where they are: a suite may have more of them than fit
/// into memory at once.
pub(crate) async fn fetch_cases(
    objects: &dyn ObjectStore,
    suite: &Suite,
) -> Result<Vec<Case>, ContentError> {
    match suite {
        Suite::Inline { cases, sha256: _ } => Ok(cases.clone()),
        Suite::Object { object, count } => {
            let json = fetch(objects, &Content::Object(object.clone())).await?;
            let cases: Vec<Case> = serde_json::from_slice(&json)?;
            if u32::try_from(cases.len()) != Ok(*count) {
                return Err(ContentError::Count { here: cases.len(), accepted: *count });
            }
            Ok(cases)
        }
    }
}

/// Fetches content. Waits as long as the object store is away; what is not there after some tries
/// never will be.
pub(crate) async fn fetch(
    objects: &dyn ObjectStore,
    content: &Content,
) -> Result<Vec<u8>, ObjectError> {
    let object = match content.bytes() {
        Ok(bytes) => return Ok(bytes.to_vec()),
        Err(object) => object,
    };
    let mut absent = 0;
    let may_come = |error: &ObjectError| {
        match error {
            ObjectError::Unavailable(_) | ObjectError::Full(_) => {}
            ObjectError::Absent(_) | ObjectError::Corrupt(_) | ObjectError::TooLarge(_) => {
                absent += 1;
            }
        }
        absent < ABSENT_TRIES_MAX
    };
    (|| objects.get(object))
        .retry(until_back())
        .when(may_come)
        .notify(|error, _wait| {
            warn!(error = error as &dyn Error, "an object is fetched again");
        })
        .await
}
