//! Invariants over any order of commands and events.

use events::submission::{self, decide};
use events::testing as sample;
use events::{Command, Digest, Envelope, Event, Fold, Recorded};
use proptest::prelude::*;

fn attempts() -> std::ops::Range<u32> {
    0..4
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::Accept(Box::new(sample::accepted_with_cases(3)))),
        attempts().prop_map(|attempt| Command::Start(sample::started(attempt))),
        attempts().prop_map(|attempt| Command::RecordCompilation(sample::compiled(attempt))),
        (attempts(), 0..4_u32, 0..3_u32).prop_map(
            |(attempt, first, count)| Command::RecordResults(sample::judged(attempt, first, count))
        ),
        attempts().prop_map(|attempt| Command::DeclareLost(sample::lost(attempt))),
        Just(Command::RequestCancellation(sample::cancellation_requested())),
        Just(Command::Cancel(sample::cancelled())),
        attempts().prop_map(|attempt| Command::Complete(Box::new(sample::completed(attempt)))),
        attempts().prop_map(|attempt| Command::Complete(Box::new(sample::stopped(attempt)))),
        attempts().prop_map(|attempts| Command::Fail(sample::failed(attempts))),
    ]
}

/// Any event, legal or not, as a rogue writer would put it.
fn events() -> impl Strategy<Value = Event> {
    commands().prop_map(|command| match command {
        Command::Accept(accepted) => Event::Accepted(accepted),
        Command::Start(started) => Event::Started(started),
        Command::RecordCompilation(compiled) => Event::Compiled(compiled),
        Command::RecordResults(judged) => Event::Judged(judged),
        Command::DeclareLost(lost) => Event::Lost(lost),
        Command::RequestCancellation(request) => Event::CancellationRequested(request),
        Command::Cancel(cancelled) => Event::Cancelled(cancelled),
        Command::Complete(completed) => Event::Completed(completed),
        Command::Fail(failed) => Event::Failed(failed),
    })
}

fn fold(records: &[Recorded]) -> Fold {
    records.iter().fold(Fold::default(), submission::apply)
}

/// Runs commands as writers do, and returns what they made.
fn obey(commands: Vec<Command>) -> Vec<Event> {
    let mut history = Vec::new();
    for command in commands {
        if let Ok(events) = decide(&fold(&sample::record(history.clone())), command) {
            history.extend(events);
        }
    }
    history
}

proptest! {
    #[test]
    fn what_is_decided_is_never_a_violation(commands in prop::collection::vec(commands(), 0..24)) {
        prop_assert_eq!(fold(&sample::record(obey(commands))).violations, 0);
    }

    #[test]
    fn at_most_one_terminal_event_is_decided_and_it_is_the_last(commands in prop::collection::vec(commands(), 0..24)) {
        let history = obey(commands);
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
    fn a_settled_submission_never_changes_again(events in prop::collection::vec(events(), 0..24)) {
        let mut settled: Option<events::Submission> = None;
        let mut state = Fold::default();
        for record in sample::record(events) {
            state = submission::apply(state, &record);
            if let (Some(settled), Some(now)) = (&settled, &state.submission) {
                let now = events::Submission { sequence: settled.sequence, ..now.clone() };
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
        let whole = Envelope::new(sample::SUBMISSION, event, &sample::writer(), None, sample::instant(1));
        let mut bytes = whole.encode();
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
        let id = |writer| Envelope::new(sample::SUBMISSION, event.clone(), writer, None, sample::instant(1)).id;
        prop_assert_ne!(id(&mine), id(&theirs));
        prop_assert_eq!(id(&mine), id(&mine));
    }
}
