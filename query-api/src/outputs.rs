//! Outputs that are too large for events: a seam to where they lie.

use std::fmt;

use async_trait::async_trait;
use events::Content;
use events::content::ObjectRef;
use ledger::{ObjectError, Objects};

use crate::error::ApiError;

/// Fetches outputs.
#[async_trait]
pub trait Outputs: fmt::Debug + Send + Sync {
    /// Returns the object's bytes.
    async fn fetch(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError>;
}

/// Returns the bytes, wherever they lie.
pub(crate) async fn resolve(outputs: &dyn Outputs, content: &Content) -> Result<Vec<u8>, ApiError> {
    match content.bytes() {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(object) => Ok(outputs.fetch(object).await?),
    }
}

#[async_trait]
impl Outputs for Objects {
    async fn fetch(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        self.get(object).await
    }
}
