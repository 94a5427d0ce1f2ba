//! A long, fixed history with everything in it, for tests on servers, where random ones would be
//! too slow.

use super::history::{Kind, SUBMISSIONS, Step, accepted_once};

/// What happens, some of it more often.
const KINDS: [Kind; 15] = [
    Kind::Accept,
    Kind::Accept,
    Kind::Accept,
    Kind::Accept,
    Kind::Start,
    Kind::Start,
    Kind::Compile,
    Kind::Judge,
    Kind::Judge,
    Kind::Lose,
    Kind::RequestCancellation,
    Kind::Complete,
    Kind::Complete,
    Kind::Fail,
    Kind::Cancel,
];

/// How many groups of submissions follow one another: as many as a number of a submission tells
/// apart.
const GROUPS: usize = 42;

/// Makes `count` steps from a fixed seed: a scramble of all kinds of events over all submissions.
pub(crate) fn scramble(count: usize) -> Vec<Step> {
    // A rebuild forgets what has ended, and would begin a submission anew that is accepted again.
    let mut steps = accepted_once(&drawn(2 * count));
    assert!(steps.len() >= count, "only {} of {count} steps are left", steps.len());
    steps.truncate(count);
    steps
}

fn drawn(count: usize) -> Vec<Step> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from((state >> 33) % below).unwrap()
    };
    (0..count)
        .map(|place| Step {
            // The submissions change over time, so that old ones end and new ones begin.
            submission: u8::try_from(place * GROUPS / count.max(GROUPS * 24)).unwrap()
                * SUBMISSIONS
                + draw(u64::from(SUBMISSIONS)),
            kind: KINDS[usize::from(draw(15))],
            salt: draw(256),
            slip: u8::from(draw(10) == 0),
            hours: u8::from(draw(8) == 0) * draw(40),
        })
        .collect()
}
