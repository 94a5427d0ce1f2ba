//! What all crates ask of the machine: the time, and new ids. Only traits, so that every crate can
//! take them as arguments: `platform` has the machine's clock and ids, `testing` those that tests
//! control.

use std::fmt::Debug;

use uuid::Uuid;

use crate::Timestamp;

/// Tells the time.
pub trait Clock: Debug + Send + Sync {
    /// Returns the present instant.
    fn now(&self) -> Timestamp;
}

/// Gives ids that were never used before.
pub trait IdSource: Debug + Send + Sync {
    /// Returns a new id.
    fn new_id(&self) -> Uuid;
}
