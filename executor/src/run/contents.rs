//! Fetching what a submission is made of, wherever it lies: in its accepted event or in the object
//! store.

use backon::Retryable;
use events::Content;
use events::event::{Accepted, Case, Suite};
use ledger::{ObjectError, ObjectStore};
use sandbox::protocol::CellFile;
use tracing::warn;

use crate::waits::until_back;

/// How often an object is looked for that should be there: a replica may be a moment behind.
const ABSENT_TRIES_MAX: u32 = 6;

/// What a submission is made of.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The files, until they are written.
    pub files: Vec<CellFile>,
    /// Standard input of a run without cases.
    pub stdin: Vec<u8>,
    /// The cases to judge by.
    pub cases: Option<Vec<Case>>,
}

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

/// Fetches the files, the input and the cases of a submission. The contents of cases stay where
/// they are: a suite may have more of them than fit into memory at once.
pub(crate) async fn fetch_material(
    objects: &dyn ObjectStore,
    accepted: &Accepted,
) -> Result<Material, ContentError> {
    let mut material = Material::default();
    for file in &accepted.files {
        let content = fetch(objects, &file.content).await?;
        material.files.push(CellFile { path: file.name.to_string(), content });
    }
    match &accepted.suite {
        None => material.stdin = fetch(objects, &accepted.stdin).await?,
        Some(Suite::Inline { cases, sha256: _ }) => material.cases = Some(cases.clone()),
        Some(Suite::Object { object, count }) => {
            let json = fetch(objects, &Content::Object(object.clone())).await?;
            let cases: Vec<Case> = serde_json::from_slice(&json)?;
            if u32::try_from(cases.len()) != Ok(*count) {
                return Err(ContentError::Count { here: cases.len(), accepted: *count });
            }
            material.cases = Some(cases);
        }
    }
    Ok(material)
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
            ObjectError::Absent(_) | ObjectError::Corrupt(_) => absent += 1,
        }
        absent < ABSENT_TRIES_MAX
    };
    (|| objects.get(object))
        .retry(until_back())
        .when(may_come)
        .notify(|error, _wait| {
            warn!(error = error as &dyn std::error::Error, "an object is fetched again");
        })
        .await
}
