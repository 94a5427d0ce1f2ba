//! How much room the rest of a submission may take in the ledger at the worst: what is accepted
//! today must find room for its outcome tomorrow. Follows from the limits of what an event holds.

use crate::content::{INLINE_BYTES_MAX, INLINE_JSON_GROWTH_MAX};
use crate::event::CASE_NAME_BYTES_MAX;

/// An event without contents and results, with its subject, its headers and what the stream adds.
const EVENT_BYTES: u64 = 2 * 1024;
/// The contents of one event, as JSON.
const CONTENTS_BYTES: u64 = (INLINE_JSON_GROWTH_MAX * INLINE_BYTES_MAX) as u64;
/// The result of one case: its numbers, a hash, and a name of which each byte may need six.
const CASE_RESULT_BYTES: u64 = 512 + 6 * CASE_NAME_BYTES_MAX as u64;
/// How many events of one attempt tell results at the most.
pub const RESULT_EVENTS_MAX: u32 = 80;
/// The attempts that a submission may use up, and whose events count. One that is handed back more
/// often than this, as by a series of deploys, uses some of the room above the share at which
/// admission closes.
pub const ATTEMPTS_MAX: u32 = 3;

/// Returns how many bytes the events after the accepted one may take, of a submission with so many
/// cases, whose language has a compiler or none.
pub fn outcome_bytes_max(cases: u32, is_compiled: bool) -> u64 {
    let result_events = u64::from(cases.min(RESULT_EVENTS_MAX));
    let compiled = if is_compiled { EVENT_BYTES + CONTENTS_BYTES } else { 0 };
    let judged = u64::from(cases) * CASE_RESULT_BYTES + result_events * EVENT_BYTES;
    // Each attempt is started, and may be lost.
    let attempt = 2 * EVENT_BYTES + compiled + judged;
    // The verdict with its outputs, or a cancellation and what was asked.
    let end = 3 * EVENT_BYTES + CONTENTS_BYTES;
    u64::from(ATTEMPTS_MAX) * attempt + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_run_owes_its_outputs_and_little_else() {
        let run = outcome_bytes_max(0, false);
        assert!((CONTENTS_BYTES..CONTENTS_BYTES + 20 * 1024).contains(&run), "{run}");
        assert!(outcome_bytes_max(0, true) > run + 2 * CONTENTS_BYTES);
        assert!(outcome_bytes_max(256, true) < 4 * 1024 * 1024);
    }
}
