//! What the rest of the house asks of the machine: the time, and ids that were never used before. Traits only, so that
//! every crate can take them as arguments; `platform` has the machine's own forms, `testing` those that tests steer.

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
