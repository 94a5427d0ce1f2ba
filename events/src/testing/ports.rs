//! A clock and an id source that do what a test says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uuid::{Builder, Uuid};

use crate::Timestamp;
use crate::ports::{Clock, IdSource};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
}

impl ManualClock {
    /// Makes a clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_manual_clock_moves_only_when_told() {
        let start = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = ManualClock::at(start);
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!((clock.now() - start).num_milliseconds(), 1_500);
    }

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
