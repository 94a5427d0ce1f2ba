//! Fresh ids as an argument. The only place that draws random ids.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

/// Gives ids that no one has seen before.
pub trait IdSource: Debug + Send + Sync {
    /// Returns a new id.
    fn new_id(&self) -> Uuid;
}

/// Random, time-ordered ids (UUIDv7).
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "the one place where random ids are drawn")]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Ids that follow from a seed, for tests and simulations.
#[derive(Debug)]
pub struct SeededIds {
    state: AtomicU64,
}

/// The step of splitmix64: odd, so that the state visits every value before it repeats.
const SPLITMIX_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl SeededIds {
    /// Makes a source whose ids are the same in every run with this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    fn next(&self) -> u64 {
        let mut z =
            self.state.fetch_add(SPLITMIX_STEP, Ordering::Relaxed).wrapping_add(SPLITMIX_STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl IdSource for SeededIds {
    fn new_id(&self) -> Uuid {
        let (high, low) = (self.next(), self.next());
        Builder::from_random_bytes(*Uuid::from_u64_pair(high, low).as_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (a, b, other) = (SeededIds::new(7), SeededIds::new(7), SeededIds::new(8));
        let first: Vec<Uuid> = (0..100).map(|_| a.new_id()).collect();
        assert_eq!(first, (0..100).map(|_| b.new_id()).collect::<Vec<_>>());
        assert_ne!(first[0], other.new_id());
        let distinct: std::collections::HashSet<&Uuid> = first.iter().collect();
        assert_eq!(distinct.len(), first.len());
    }
}
