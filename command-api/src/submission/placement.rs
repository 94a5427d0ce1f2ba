//! Which parts of a submission stand inside its event, and which go to an object store. Pure.

use events::content::INLINE_BYTES_MAX;

/// Decides for parts of these lengths which stay inline, so that together they fit
/// [`INLINE_BYTES_MAX`].
pub(super) fn inline(lengths: &[usize]) -> Vec<bool> {
    let mut inline = vec![true; lengths.len()];
    let mut total: usize = lengths.iter().sum();
    let mut largest_first: Vec<usize> = (0..lengths.len()).collect();
    // The largest parts leave first, so that a submission has as few objects as can be.
    largest_first.sort_by_key(|part| std::cmp::Reverse(lengths.get(*part).copied()));
    for part in largest_first {
        if total <= INLINE_BYTES_MAX {
            break;
        }
        if let (Some(place), Some(length)) = (inline.get_mut(part), lengths.get(part)) {
            *place = false;
            total -= length;
        }
    }
    inline
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_stays_inline() {
        assert_eq!(inline(&[]), Vec::<bool>::new());
        assert_eq!(inline(&[INLINE_BYTES_MAX - 1, 1, 0]), [true, true, true]);
    }

    #[test]
    fn the_largest_parts_leave_first() {
        assert_eq!(inline(&[INLINE_BYTES_MAX, 1]), [false, true]);
        assert_eq!(inline(&[10, INLINE_BYTES_MAX, 20]), [true, false, true]);
        let half = INLINE_BYTES_MAX / 2;
        assert_eq!(inline(&[half, half + 1, half + 2]), [true, false, false]);
    }

    proptest! {
        #[test]
        fn the_rest_always_fits_and_nothing_leaves_without_need(
            lengths in prop::collection::vec(0..INLINE_BYTES_MAX * 2, 0..70),
        ) {
            let places = inline(&lengths);
            let sum = |wanted: bool| -> usize {
                lengths.iter().zip(&places).filter(|(_, place)| **place == wanted).map(|(l, _)| l).sum()
            };
            prop_assert!(sum(true) <= INLINE_BYTES_MAX);
            let smallest_out =
                lengths.iter().zip(&places).filter(|(_, place)| !**place).map(|(l, _)| *l).min();
            if let Some(smallest) = smallest_out {
                prop_assert!(sum(true) + smallest > INLINE_BYTES_MAX);
            }
        }
    }
}
