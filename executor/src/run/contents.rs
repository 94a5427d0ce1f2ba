//! Fetching what a submission is made of, wherever it lies.

use events::Content;
use ledger::ObjectError;
use tracing::warn;

use crate::patience::Patience;
use crate::runner::Blobs;

/// How often an object is looked for that should be there: a replica may be a moment behind.
const ABSENT_TRIES_MAX: u32 = 6;

/// Fetches content. Waits as long as the object store is away; what is not there after some looks never will be.
pub(crate) async fn fetch(blobs: &dyn Blobs, content: &Content) -> Result<Vec<u8>, ObjectError> {
    let object = match content.bytes() {
        Ok(bytes) => return Ok(bytes.to_vec()),
        Err(object) => object,
    };
    let (mut patience, mut looks) = (Patience::new(), 0);
    loop {
        let error = match blobs.get(object).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        match &error {
            ObjectError::Unavailable(_) | ObjectError::Full(_) => {}
            ObjectError::Absent(_) | ObjectError::Corrupt(_) => looks += 1,
        }
        if looks == ABSENT_TRIES_MAX {
            return Err(error);
        }
        warn!(error = &error as &dyn std::error::Error, "an object has to be looked for again");
        patience.wait().await;
    }
}
