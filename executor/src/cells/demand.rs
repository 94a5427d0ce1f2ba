//! How many warm cells an image is worth: more after a burst found none left, fewer again when nobody needs them.
//! Pure; the pool asks it and tells it.

use std::time::Duration;

use tokio::time::Instant;

/// How long the shelf must have been well filled before one cell fewer is kept.
const CALM: Duration = Duration::from_mins(1);

/// The number of warm cells to keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    target: usize,
    min: usize,
    max: usize,
    calm_since: Instant,
}

impl Demand {
    pub(super) fn new(min: usize, max: usize, now: Instant) -> Self {
        Self { target: min, min, max, calm_since: now }
    }

    /// How many cells to keep.
    pub(super) fn target(&self) -> usize {
        self.target
    }

    /// A cell was taken and `left` are left.
    pub(super) fn taken(&mut self, left: usize, now: Instant) {
        if left == 0 {
            self.target = (self.target * 2).min(self.max);
        }
        if left < self.min / 2 {
            self.calm_since = now;
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.target > self.min && now.duration_since(self.calm_since) >= CALM {
            self.target -= 1;
            self.calm_since = now;
        }
    }
}

/// Whether to make one more cell now.
///
/// Making one takes most of a processor for a tenth of a second. While programs run and a good half of the shelf is
/// full, it waits, so that they are measured in peace.
pub(super) fn is_due(stock: usize, target: usize, busy: usize) -> bool {
    if busy > 0 { stock * 2 < target } else { stock < target }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_empty_shelf_doubles_the_target_up_to_its_bound() {
        let now = Instant::now();
        let mut demand = Demand::new(4, 10, now);
        demand.taken(1, now);
        assert_eq!(demand.target(), 4);
        demand.taken(0, now);
        assert_eq!(demand.target(), 8);
        demand.taken(0, now);
        assert_eq!(demand.target(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn calm_lowers_the_target_one_by_one_down_to_its_bound() {
        let start = Instant::now();
        let mut demand = Demand::new(4, 16, start);
        demand.taken(0, start);
        demand.tick(start + CALM / 2);
        assert_eq!(demand.target(), 8);
        for minute in 1..=10 {
            demand.tick(start + CALM * minute);
        }
        assert_eq!(demand.target(), 4);
    }

    #[test]
    fn a_cell_is_made_in_peace_or_in_need() {
        assert!(is_due(7, 8, 0));
        assert!(!is_due(8, 8, 0));
        assert!(!is_due(4, 8, 1));
        assert!(is_due(3, 8, 1));
        assert!(is_due(0, 1, 3));
    }
}
