//! Appending through every mishap, on the fake: exactly one event, or an honest error.

use std::sync::Arc;
use std::time::Duration;

use events::envelope::Writer;
use events::{Rejection, State, SubmissionId};
use ledger::memory::{Checks, MemoryStore, Mishap};
use ledger::store::{EventStore as _, MESSAGE_BYTES_MAX, PublishError};
use ledger::{Accepting, Aggregate, ExecuteError, Ledger};
use uuid::Uuid;

use crate::common::{
    Ticking, accepted, complete, fresh_id, kinds, lose, request_cancellation, standing, start,
    submit, writer,
};

const DEADLINE: Duration = Duration::from_secs(10);
/// How long a leader that is cut off may answer with what it has, at the least.
const LEADER_CUT_OFF_TIME: Duration = Duration::from_secs(12);
const BOTH_CHECKS: [Checks; 2] = [Checks::SequenceFirst, Checks::IdFirst];

struct Given {
    store: Arc<MemoryStore>,
    ledger: Ledger,
    aggregate: Aggregate,
    executor: Writer,
}

/// A submission in a ledger whose store orders its checks in this way.
async fn given(checks: Checks) -> Given {
    let clock = Arc::new(Ticking::default());
    let store = Arc::new(MemoryStore::new(clock.clone()).with_checks(checks));
    let ledger = Ledger::new(Arc::clone(&store) as _, clock).with_deadline(DEADLINE);
    let aggregate = submit(&ledger).await;
    Given { store, ledger, aggregate, executor: writer("executor") }
}

impl Given {
    async fn start(&mut self) -> Result<Vec<events::Recorded>, ExecuteError> {
        let started = start(1, self.executor.instance);
        self.ledger.execute(&mut self.aggregate, started, &self.executor).await
    }

    async fn stored(&self) -> Vec<&'static str> {
        let history = self.ledger.history(self.aggregate.id()).await.unwrap();
        assert_eq!(ledger::verify::verify_chain(&history), []);
        history.iter().map(|stored| stored.recorded.envelope.event.kind()).collect()
    }
}

fn maybe_stored(error: &ExecuteError) -> bool {
    let ExecuteError::Unavailable { maybe_stored, .. } = error else {
        panic!("{error:?}");
    };
    *maybe_stored
}

#[tokio::test(start_paused = true)]
async fn a_life_without_mishap_is_recorded_in_order() {
    let mut given = given(Checks::SequenceFirst).await;
    given.start().await.unwrap();
    let done =
        given.ledger.execute(&mut given.aggregate, complete(1), &given.executor).await.unwrap();
    assert_eq!(kinds(&done), ["execution.completed"]);
    assert_eq!(given.aggregate.submission.state, State::Completed);
    assert_eq!(
        given.stored().await,
        ["submission.accepted", "execution.started", "execution.completed"]
    );
}

#[tokio::test(start_paused = true)]
async fn mishaps_that_pass_leave_one_event() {
    use Mishap::{AnswerLost, Away, InFlight, RequestLost};
    for checks in BOTH_CHECKS {
        for mishaps in [
            vec![AnswerLost],
            vec![RequestLost],
            vec![Away, Away],
            vec![InFlight, InFlight, InFlight],
            vec![RequestLost, AnswerLost, Away, AnswerLost, InFlight],
        ] {
            let mut given = given(checks).await;
            given.store.arrange(mishaps.clone());
            let recorded = given.start().await.unwrap();
            assert_eq!(kinds(&recorded), ["execution.started"], "{mishaps:?} {checks:?}");
            assert_eq!(given.stored().await, ["submission.accepted", "execution.started"]);
            // The next event names the one before it, so the digest in memory is that of what is
            // stored.
            given.ledger.execute(&mut given.aggregate, complete(1), &given.executor).await.unwrap();
            assert_eq!(given.stored().await.len(), 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_whose_answer_is_lost_is_still_new() {
    for checks in BOTH_CHECKS {
        let given = given(checks).await;
        given.store.arrange([Mishap::AnswerLost, Mishap::InFlight]);
        let (id, api) = (fresh_id(), writer("api"));
        let accepting = given.ledger.accept(id, accepted(), &api).await.unwrap();
        assert!(matches!(accepting, Accepting::New(_)), "{accepting:?}");
        assert_eq!(given.ledger.history(id).await.unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_reported_as_unknown() {
    let mut given = given(Checks::SequenceFirst).await;
    given.store.arrange(vec![Mishap::RequestLost; 10_000]);
    assert!(maybe_stored(&given.start().await.unwrap_err()));
    assert_eq!(given.aggregate.submission.state, State::Accepted);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_is_reported_as_not_stored() {
    let mut given = given(Checks::SequenceFirst).await;
    given.store.arrange(vec![Mishap::Away; 10_000]);
    assert!(!maybe_stored(&given.start().await.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn the_same_command_after_an_unknown_answer_finds_its_own_event() {
    for checks in BOTH_CHECKS {
        let mut given = given(checks).await;
        given.ledger = given.ledger.with_deadline(Duration::ZERO);
        given.store.arrange([Mishap::AnswerLost]);
        assert!(maybe_stored(&given.start().await.unwrap_err()));
        given.ledger = given.ledger.with_deadline(DEADLINE);
        let recorded = given.start().await.unwrap();
        assert_eq!(kinds(&recorded), ["execution.started"]);
        assert_eq!(given.stored().await, ["submission.accepted", "execution.started"]);
        // The first try stands, with its own time: that is what the next event must name.
        given.ledger.execute(&mut given.aggregate, complete(1), &given.executor).await.unwrap();
        assert_eq!(given.stored().await.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_ledger_is_its_own_error_and_stores_nothing() {
    let mut given = given(Checks::SequenceFirst).await;
    given.store.arrange([Mishap::Full]);
    let refused = given.start().await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Full), "{refused:?}");
    assert_eq!(given.stored().await, ["submission.accepted"]);
    given.start().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_ledger_after_an_unknown_answer_is_unknown() {
    let mut lost = given(Checks::SequenceFirst).await;
    lost.store.arrange([Mishap::RequestLost].into_iter().chain(vec![Mishap::Full; 10_000]));
    assert!(maybe_stored(&lost.start().await.unwrap_err()));

    let mut found = given(Checks::SequenceFirst).await;
    found.store.arrange([Mishap::AnswerLost, Mishap::Full]);
    assert_eq!(kinds(&found.start().await.unwrap()), ["execution.started"]);
}

#[tokio::test(start_paused = true)]
async fn the_second_executor_to_start_reads_again_and_is_rejected() {
    for checks in BOTH_CHECKS {
        let mut given = given(checks).await;
        let mut stale = given.aggregate.clone();
        given.start().await.unwrap();
        let late = writer("late");
        let refused = given.ledger.execute(&mut stale, start(1, late.instance), &late).await;
        let rejected = matches!(refused, Err(ExecuteError::Rejected(Rejection::AlreadyRunning(1))));
        assert!(rejected, "{refused:?}");
        assert_eq!(stale.submission.state, State::Running);
        assert_eq!(given.stored().await, ["submission.accepted", "execution.started"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_writer_whose_command_is_still_legal_goes_on() {
    let mut given = given(Checks::SequenceFirst).await;
    let mut stale = given.aggregate.clone();
    given.start().await.unwrap();
    let api = writer("api");
    let recorded = given.ledger.execute(&mut stale, request_cancellation(), &api).await.unwrap();
    // An attempt runs by now, so its executor carries the cancellation out.
    assert_eq!(kinds(&recorded), ["cancellation.requested"]);
    assert_eq!(stale.submission.state, State::Cancelling);
    given.stored().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_of_what_waits_ends_it_in_one_command() {
    for mishaps in [vec![], vec![Mishap::AnswerLost, Mishap::AnswerLost, Mishap::InFlight]] {
        let given = given(Checks::SequenceFirst).await;
        given.store.arrange(mishaps);
        let (mut aggregate, api) = (given.aggregate.clone(), writer("api"));
        let recorded =
            given.ledger.execute(&mut aggregate, request_cancellation(), &api).await.unwrap();
        assert_eq!(kinds(&recorded), ["cancellation.requested", "submission.cancelled"]);
        assert_eq!(aggregate.submission.state, State::Cancelled);
        assert_eq!(given.stored().await.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_is_half_recorded_is_recorded() {
    let given = given(Checks::SequenceFirst).await;
    let (mut aggregate, api) = (given.aggregate.clone(), writer("api"));
    // The first event passes, the second one never does.
    given.store.arrange([Mishap::AnswerLost, Mishap::InFlight]);
    given.store.arrange(vec![Mishap::Away; 10_000]);
    let recorded =
        given.ledger.execute(&mut aggregate, request_cancellation(), &api).await.unwrap();
    assert_eq!(kinds(&recorded), ["cancellation.requested"]);
    assert_eq!(aggregate.submission.state, State::Cancelling);
}

#[tokio::test(start_paused = true)]
async fn one_key_is_accepted_once_whatever_the_second_request_says_and_whenever_it_comes() {
    for checks in BOTH_CHECKS {
        let given = given(checks).await;
        let mut other = accepted();
        other.lane = events::Lane::Submit;
        other.pool = "extra".parse().unwrap();
        let a_year_later = given.aggregate.id().as_uuid().as_u128() + (31_536_000_000 << 80);
        let id = SubmissionId::new(Uuid::from_u128(a_year_later));
        let again = given.ledger.accept(id, other, &writer("api2")).await.unwrap();
        let Accepting::Existing(standing) = again else { panic!("{again:?}") };
        assert_eq!(standing.subject, given.aggregate.subject);
        assert_eq!(standing.accepted, given.aggregate.accepted);
        assert_eq!(given.stored().await, ["submission.accepted"]);
    }
}

#[tokio::test(start_paused = true)]
async fn foreign_bytes_under_a_key_do_not_take_it() {
    for checks in BOTH_CHECKS {
        for mishaps in [vec![], vec![Mishap::AnswerLost, Mishap::InFlight], vec![Mishap::InFlight]]
        {
            let given = given(checks).await;
            let id = fresh_id();
            let (key_part, other) = (id.key_part(), fresh_id());
            for lane in ["run", "submit", "run"] {
                let subject = format!("ledger.submission.{lane}.normal.extra.{key_part}.{other}");
                given.store.put_raw(&subject, "hi");
            }
            given.store.arrange(mishaps);
            let first = given.ledger.accept(id, accepted(), &writer("api")).await.unwrap();
            assert!(matches!(first, Accepting::New(_)), "{first:?}");
            let subject = format!("ledger.submission.run.normal.core.{key_part}.{id}");
            given.store.put_raw(&subject, "hi");
            // The key stands for the submission, and not for what is around it.
            let again = given.ledger.accept(id, accepted(), &writer("api2")).await.unwrap();
            let Accepting::Existing(standing) = again else { panic!("{again:?}") };
            assert_eq!(standing.id(), id);
            assert_eq!(given.ledger.history(id).await.unwrap().len(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_stands_elsewhere_is_refused_and_not_taken_for_ours() {
    let mut given = given(Checks::IdFirst).await;
    // Somebody published under the very id that our event will have.
    let twin = given_twin(&given).await;
    given.store.publish(&twin).await.unwrap();
    let refused = given.start().await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Refused(_)), "{refused:?}");
    assert_eq!(given.stored().await, ["submission.accepted"]);
}

/// The event of [`Given::start`], on a foreign subject.
async fn given_twin(given: &Given) -> ledger::store::Publication {
    let probe = Arc::new(MemoryStore::new(standing()));
    let ledger = Ledger::new(Arc::clone(&probe) as _, standing());
    let mut copy = given.aggregate.clone();
    let started = start(1, given.executor.instance);
    ledger.execute(&mut copy, started, &given.executor).await.unwrap();
    let message = probe.get(1).await.unwrap().unwrap();
    ledger::store::Publication {
        subject: "ledger.elsewhere".to_owned(),
        id: message.id.unwrap(),
        expected: ledger::store::Expected::Last(0),
        kind: "execution.started",
        traceparent: None,
        payload: message.payload,
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_large_is_its_own_error() {
    let given = given(Checks::SequenceFirst).await;
    let mut large = accepted();
    large.args = vec!["x".repeat(MESSAGE_BYTES_MAX as usize)];
    let refused = given.ledger.accept(fresh_id(), large, &writer("api")).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::TooLarge), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_newer_form_in_the_history_stops_a_writer() {
    let mut given = given(Checks::SequenceFirst).await;
    let outcome = given.aggregate.subject.in_family(events::Family::Outcome).to_string();
    let first = given.store.get(1).await.unwrap().unwrap();
    let newer = String::from_utf8(first.payload.to_vec()).unwrap();
    given.store.put_raw(&outcome, newer.replace("accepted:2\"", "accepted:3\""));
    let stopped = given.start().await.unwrap_err();
    assert!(matches!(stopped, ExecuteError::Read(ledger::ReadError::Newer { sequence: 2, .. })));
}

#[tokio::test(start_paused = true)]
async fn foreign_bytes_under_a_submission_stop_neither_its_readers_nor_its_writers() {
    let mut given = given(Checks::SequenceFirst).await;
    let (subject, id) = (given.aggregate.subject.clone(), given.aggregate.id());
    let outcome = subject.in_family(events::Family::Outcome).to_string();
    given.store.put_raw(&subject.to_string(), "hi");
    given.store.put_raw(&outcome, "hi");
    given.start().await.unwrap();
    given.store.put_raw(&outcome, vec![0, 0xff]);
    let read = given.ledger.load(id).await.unwrap().unwrap();
    assert_eq!((read.submission.state, read.violations), (State::Running, 2));
    assert_eq!(given.ledger.load_at(&subject).await.unwrap().unwrap().violations, 2);
    // Written by one who has read them, and by one who has not.
    let (mut aggregate, executor) = (read, given.executor.clone());
    given.ledger.execute(&mut aggregate, complete(1), &executor).await.unwrap();
    let history = given.ledger.history(id).await.unwrap();
    assert_eq!(history.len(), 3);
    assert_eq!(ledger::verify::verify_chain(&history), []);
}

#[tokio::test(start_paused = true)]
async fn a_writer_whose_submission_was_lost_with_a_set_back_gives_up() {
    let mut given = given(Checks::SequenceFirst).await;
    given.start().await.unwrap();
    given.store.set_back(0);
    let began = tokio::time::Instant::now();
    let (aggregate, executor) = (&mut given.aggregate, &given.executor);
    loop {
        let error = given.ledger.execute(aggregate, complete(1), executor).await.unwrap_err();
        if matches!(error, ExecuteError::Gone) {
            break;
        }
        assert!(!maybe_stored(&error));
        assert!(began.elapsed() <= Duration::from_secs(40), "{:?}", began.elapsed());
    }
    assert!(began.elapsed() > LEADER_CUT_OFF_TIME, "a leader that is cut off answers so, too");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_and_lacks_an_event_takes_no_submission_from_its_writer() {
    let mut given = given(Checks::SequenceFirst).await;
    given.start().await.unwrap();
    let cut_off = Arc::new(MemoryStore::new(standing()));
    let cut_off = Ledger::new(cut_off, standing()).with_deadline(DEADLINE);
    let (aggregate, executor) = (&mut given.aggregate, &given.executor);
    let began = tokio::time::Instant::now();
    while began.elapsed() < LEADER_CUT_OFF_TIME {
        let error = cut_off.execute(aggregate, complete(1), executor).await.unwrap_err();
        assert!(!maybe_stored(&error));
    }
    given.ledger.execute(aggregate, lose(1), executor).await.unwrap();
    // Long after that, another leader is cut off.
    tokio::time::sleep(Duration::from_mins(1)).await;
    let again = start(2, executor.instance);
    let error = cut_off.execute(aggregate, again.clone(), executor).await.unwrap_err();
    assert!(!maybe_stored(&error));
    given.ledger.execute(aggregate, again, executor).await.unwrap();
}

#[tokio::test]
async fn the_fakes_mishaps_are_what_they_say() {
    let given = given(Checks::SequenceFirst).await;
    let twin = given_twin(&given).await;
    given.store.arrange([Mishap::AnswerLost]);
    assert!(matches!(given.store.publish(&twin).await, Err(PublishError::Unknown(_))));
    assert!(given.store.last(&twin.subject).await.unwrap().is_some());
}
