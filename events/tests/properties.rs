//! Invariants over any order of events.

use events::submission::{self, decide};
use events::testing as sample;
use events::{Digest, Envelope, Event, Fold, Recorded, Submission};
use proptest::prelude::*;

fn attempts() -> std::ops::Range<u32> {
    0..4
}

/// Any event, legal or not, as a rogue writer would put it.
fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Accepted(Box::new(sample::accepted_with_cases(3)))),
        attempts().prop_map(|attempt| Event::Started(sample::started(attempt))),
        attempts().prop_map(|attempt| Event::Compiled(sample::compiled(attempt))),
        (attempts(), 0..4_u32, 0..3_u32).prop_map(|(attempt, first, count)| Event::Judged(
            sample::judged(attempt, first, count)
        )),
        attempts().prop_map(|attempt| Event::Lost(sample::lost(attempt))),
        Just(Event::CancellationRequested(sample::cancellation_requested())),
        Just(Event::Cancelled(sample::cancelled())),
        attempts().prop_map(|attempt| Event::Completed(Box::new(sample::completed(attempt)))),
        attempts().prop_map(|attempt| Event::Completed(Box::new(sample::stopped(attempt)))),
        attempts().prop_map(|attempts| Event::Failed(sample::failed(attempts))),
    ]
}

fn fold(records: &[Recorded]) -> Fold {
    records.iter().fold(Fold::default(), submission::apply)
}

/// Has writers want one event after another, and returns what they may append.
fn write(wanted: Vec<Event>) -> Vec<Event> {
    let mut history = Vec::new();
    for event in wanted {
        let fold = fold(&sample::record(history.clone()));
        if let Ok(events) = decide(fold.submission.as_ref(), event) {
            history.extend(events);
        }
    }
    history
}

proptest! {
    #[test]
    fn what_is_decided_is_never_a_violation(wanted in prop::collection::vec(events(), 0..24)) {
        prop_assert_eq!(fold(&sample::record(write(wanted))).violations, 0);
    }

    #[test]
    fn at_most_one_terminal_event_is_decided_and_it_is_the_last(wanted in prop::collection::vec(events(), 0..24)) {
        let history = write(wanted);
        let terminal = history.iter().position(Event::is_terminal);
        prop_assert!(terminal.is_none_or(|at| at + 1 == history.len()));
    }

    #[test]
    fn any_history_folds_without_refusal_and_the_same_wherever_it_is_cut(
        events in prop::collection::vec(events(), 0..24), cut in 0..24_usize,
    ) {
        let records = sample::record(events);
        let (head, tail) = records.split_at(cut.min(records.len()));
        let resumed = tail.iter().fold(fold(head), submission::apply);
        prop_assert_eq!(resumed, fold(&records));
    }

    #[test]
    fn a_lifecycle_that_is_remembered_alone_advances_as_the_whole_submission_does(
        events in prop::collection::vec(events(), 0..24),
    ) {
        let (mut state, mut lifecycle, mut refused) = (Fold::default(), None, 0);
        for record in sample::record(events) {
            match submission::advance(lifecycle, &record.envelope.event) {
                Ok(after) => lifecycle = Some(after),
                Err(_) => refused += 1,
            }
            state = submission::apply(state, &record);
            prop_assert_eq!(state.submission.as_ref().map(Submission::lifecycle), lifecycle);
            prop_assert_eq!(state.violations, refused);
        }
    }

    #[test]
    fn a_settled_submission_never_changes_again(events in prop::collection::vec(events(), 0..24)) {
        let mut settled: Option<Submission> = None;
        let mut state = Fold::default();
        for record in sample::record(events) {
            state = submission::apply(state, &record);
            if let (Some(settled), Some(now)) = (&settled, &state.submission) {
                let now = Submission { sequence: settled.sequence, ..now.clone() };
                prop_assert_eq!(&now, settled);
            }
            settled = state.submission.clone().filter(|submission| submission.state.is_terminal());
        }
    }

    #[test]
    fn every_event_is_read_back_as_it_was_written(events in prop::collection::vec(events(), 1..8)) {
        for record in sample::record(events) {
            let bytes = record.envelope.encode();
            prop_assert_eq!(Digest::of(&bytes), record.digest);
            prop_assert_eq!(Envelope::decode(&bytes).unwrap(), record.envelope);
        }
    }

    #[test]
    fn a_spoilt_event_is_decoded_without_panic_and_never_as_another_one_s_bytes(
        event in events(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..8,
        put in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let (_, mut bytes) = Envelope::write(sample::SUBMISSION, event, &sample::writer(), None, sample::instant(1));
        let begin = at.index(bytes.len());
        let end = bytes.len().min(begin + cut);
        bytes.splice(begin..end, put);
        if let Ok(decoded) = Envelope::decode(&bytes) {
            // What is taken is an event in full: it comes back from its own bytes.
            prop_assert_eq!(Envelope::decode(&decoded.encode()).unwrap(), decoded);
        }
    }

    #[test]
    fn two_writers_never_share_an_event_id(event in events(), other in any::<u128>()) {
        let mine = sample::writer();
        let theirs = events::envelope::Writer { instance: events::BootId::new(uuid::Uuid::from_u128(other)), ..sample::writer() };
        prop_assume!(mine.instance != theirs.instance);
        let id = |writer| Envelope::write(sample::SUBMISSION, event.clone(), writer, None, sample::instant(1)).0.id;
        prop_assert_ne!(id(&mine), id(&theirs));
        prop_assert_eq!(id(&mine), id(&mine));
    }
}
