//! Random ids. The only place that draws them.

use events::IdSource;
use uuid::Uuid;

/// Random, time-ordered ids (UUIDv7).
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "the one place where random ids are drawn")]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
