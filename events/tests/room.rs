//! No outcome takes more room than what was set aside for it.

use events::content::INLINE_BYTES_MAX;
use events::envelope::FormError;
use events::event::{
    Accepted, CASE_NAME_BYTES_MAX, CASES_MAX, CaseResult, Compiled, Completed, Judged, Suite,
};
use events::room::{ATTEMPTS_MAX, outcome_bytes_max};
use events::testing::{
    SUBMISSION, accepted, accepted_with_cases, case_result, compiled, completed_with_cases,
    instant, lost, record, started, writer,
};
use events::{Captured, Content, Envelope, Event, ObjectBucket, ObjectRef, Usage, Verdict};
use proptest::prelude::*;

/// The greatest number of an event: what a column holds.
const MOST: u64 = i64::MAX.cast_unsigned();
/// What the stream adds to a message: its subject, its headers and their frame.
const MESSAGE_BYTES: usize = 512;
/// Cases that one event tells, where a suite is so long that events are full.
const GROUP: u32 = 16;

fn captured(bytes: &[u8]) -> Captured {
    let bytes_total = MOST;
    Captured { content: Content::inline(bytes.to_vec()), bytes_total, truncated: true }
}

fn worst_result(case: u32) -> CaseResult {
    let usage = Usage { cpu_us: MOST, wall_us: MOST, discounted_us: MOST, memory_kib: MOST };
    let name = Some("\u{1}".repeat(CASE_NAME_BYTES_MAX));
    CaseResult { name, usage, points: u32::MAX, ..case_result(case, Verdict::MemoryLimit) }
}

/// Every attempt tells all results and is lost, but for the last.
fn worst_events(cases: u32, is_compiled: bool, output: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    for attempt in 1..=ATTEMPTS_MAX {
        events.push(Event::Started(started(attempt)));
        if is_compiled {
            events
                .push(Event::Compiled(Compiled { output: captured(output), ..compiled(attempt) }));
        }
        for first in (0..cases).step_by(GROUP as usize) {
            let results = (first..cases.min(first + GROUP)).map(worst_result).collect();
            events.push(Event::Judged(Judged { attempt, first, results }));
        }
        events.push(Event::Lost(lost(attempt)));
    }
    let ended = completed_with_cases(ATTEMPTS_MAX, 0, 0);
    events.push(Event::Completed(Box::new(Completed { stdout: captured(output), ..ended })));
    events
}

fn bytes_of(events: Vec<Event>) -> u64 {
    let mut bytes = 0;
    for recorded in record(events) {
        let Envelope { event, submission, .. } = recorded.envelope;
        let written = Envelope::write(
            submission,
            event,
            &events::testing::writer(),
            None,
            recorded.stored_at,
        );
        bytes += written.1.len() + MESSAGE_BYTES;
    }
    bytes as u64
}

#[test]
fn a_suite_for_which_no_room_is_set_aside_is_no_event() {
    let read_back = |suite: Suite| {
        let accepted = Accepted { suite: Some(suite), ..accepted() };
        let event = Event::Accepted(Box::new(accepted));
        let (_, bytes) = Envelope::write(SUBMISSION, event, &writer(), None, instant(0));
        Envelope::decode(&bytes)
    };
    let most = u32::try_from(CASES_MAX).unwrap();
    let object =
        |count| Suite::Object { object: ObjectRef::of(ObjectBucket::Tests, b"a suite"), count };
    let inline = |count| accepted_with_cases(count).suite.unwrap();
    for good in [object(0), object(most), inline(most)] {
        read_back(good).unwrap();
    }
    for bad in [object(most + 1), object(u32::MAX), inline(most + 1)] {
        let read = read_back(bad);
        assert!(matches!(read, Err(FormError::Malformed(_))), "{read:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_worst_outcome_fits_into_what_is_set_aside(
        cases in 0_u32..257,
        is_compiled: bool,
        kind in 0_usize..6,
    ) {
        let patterns: [&[u8]; 6] = [b"x", b"\n", b"\x01", b"\"\x1b[0m", b"\xff", b"\0"];
        let output: Vec<u8> = patterns[kind].iter().copied().cycle().take(INLINE_BYTES_MAX).collect();
        let bytes = bytes_of(worst_events(cases, is_compiled, &output));
        prop_assert!(bytes <= outcome_bytes_max(cases, is_compiled), "{bytes} bytes");
    }
}
