//! How many warm cells to keep of an image: more after a burst found none left, fewer again when
//! they are not needed. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long the shelf must have been well filled before one cell fewer is kept. Far longer than a
/// burst, since a cell that is missing costs a submission more than an idle one costs the machine.
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

    /// Takes note that a cell was taken and `left` are left.
    pub(super) fn taken(&mut self, left: usize, now: Instant) {
        // Doubled, since the next submission of a burst comes before a single cell could be made.
        if left == 0 {
            self.target = (self.target * 2).min(self.max);
        }
        // A shelf that is half full is calm: it is refilled before it is empty.
        if left < self.min / 2 {
            self.calm_since = now;
        }
    }

    /// Takes note that time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.target > self.min && now.duration_since(self.calm_since) >= CALM {
            // One by one: a second burst soon after the first one finds most of the cells still
            // there.
            self.target -= 1;
            self.calm_since = now;
        }
    }
}

/// Tells whether to make one more cell now.
///
/// Making one takes most of a processor for a tenth of a second. While programs run and a good half
/// of the shelf is full, it waits, so that the times of these programs are not disturbed.
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
