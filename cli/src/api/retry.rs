//! How long to wait before another try, and when to give up. Pure.

use std::time::Duration;

/// The wait before the first retry; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest wait of our own choice.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// The longest wait that a server's `Retry-After` is followed for.
const ASKED_MAX: Duration = Duration::from_mins(1);

/// A bounded number of retries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    retries: u32,
}

impl Retry {
    /// Allows `retries` tries after the first.
    pub(super) fn new(retries: u32) -> Self {
        Self { retries }
    }

    /// Returns the wait after the try with this number, from 1; nothing when it was the last.
    pub(super) fn delay(self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        if attempt > self.retries {
            return None;
        }
        let doubled = FIRST_DELAY.saturating_mul(1 << (attempt - 1).min(16));
        let own = doubled.min(DELAY_MAX);
        Some(asked.map_or(own, |asked| asked.min(ASKED_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let retry = Retry::new(7);
        let waits: Vec<_> = (1..=8).map(|n| retry.delay(n, None).map(|d| d.as_millis())).collect();
        let expected =
            [Some(200), Some(400), Some(800), Some(1600), Some(3200), Some(5000), Some(5000), None];
        assert_eq!(waits, expected);
    }

    #[test]
    fn the_servers_wish_comes_first_within_reason() {
        let retry = Retry::new(1);
        let second = Duration::from_secs(1);
        assert_eq!(retry.delay(1, Some(second)), Some(second));
        assert_eq!(retry.delay(1, Some(Duration::ZERO)), Some(Duration::ZERO));
        assert_eq!(retry.delay(1, Some(second * 86_400)), Some(ASKED_MAX));
        assert_eq!(retry.delay(2, Some(second)), None);
    }
}
