//! Submissions from delivery to end, on a ledger in memory and with scripted cells.

use std::sync::Arc;
use std::time::Duration;

use events::content::INLINE_BYTES_MAX;
use events::envelope::Writer;
use events::event::{
    Accepted, CancellationRequested, Checker, Completed, Event, FailureClass, Lost, LostReason,
    Started, Suite,
};
use events::testing::ManualClock;
use events::{
    BootId, Clock as _, Content, Digest, ObjectBucket, ObjectRef, State, StopCause, Submission,
    SubmissionId, Verdict,
};
use ledger::memory::{MemoryObjects, MemoryStore, Mishap, PAYLOAD_BYTES_MAX};
use ledger::{
    Accepting, Aggregate, Held, Job, KnownOffers, LanguageOffer, Ledger, ObjectStore as _, Stored,
};
use sandbox::protocol::ExceededLimit;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{AckWait, AttemptSettings, DeliveryHandler, ExecutorContext, HeldSubmissions};
use crate::peers::Peers;
use crate::testing::{
    Act, Chorus, Memo, Said, Script, accepted, accepted_with_cases, context, fails, prints, stopped,
};

const ACK_WAIT: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);

fn id() -> SubmissionId {
    SubmissionId::new(Uuid::from_u128(0xabc))
}

fn boot(number: u128) -> BootId {
    BootId::new(Uuid::from_u128(number))
}

fn writer(name: &str, life: u128) -> Writer {
    Writer {
        source: format!("/{name}"),
        actor: name.to_owned(),
        instance: boot(life),
        traceparent: None,
    }
}

/// One executor, a ledger with one submission in it, and what its queue was told.
struct Stage {
    store: Arc<MemoryStore>,
    ledger: Ledger,
    objects: Arc<MemoryObjects>,
    deliveries: DeliveryHandler,
    accepted: Stored,
    clock: Arc<ManualClock>,
}

impl Stage {
    async fn with(accepted: Accepted) -> Self {
        Self::with_peers(accepted, Arc::new(Chorus(Held::Gone))).await
    }

    async fn with_peers(accepted: Accepted, peers: Arc<dyn Peers>) -> Self {
        let clock = Arc::new(ManualClock::at(events::testing::instant(0)));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let ledger = Ledger::new(store.clone(), clock.clone());
        let accepting = ledger.accept(id(), accepted, &writer("command-api", 99)).await.unwrap();
        assert!(matches!(accepting, Accepting::New(_)));
        let stored = ledger.history(id()).await.unwrap().remove(0);
        let objects = Arc::new(MemoryObjects::default());
        let offers = KnownOffers::new(clock.clone());
        offers.all_is_read(clock.now());
        let context = ExecutorContext {
            objects: objects.clone(),
            peers,
            offers,
            clock: clock.clone(),
            settings: AttemptSettings {
                attempts_max: 3,
                not_here_max: DAY,
                newer_version_after: Some(HOUR),
            },
            ..context(&ledger, boot(1), Held::Gone)
        };
        let (held, hand_back) = (HeldSubmissions::default(), CancellationToken::new());
        let ack_wait = AckWait::new(ACK_WAIT);
        let deliveries = DeliveryHandler { context, ack_wait, held, hand_back };
        Self { store, ledger, objects, deliveries, accepted: stored, clock }
    }

    fn job(&self, delivered: u64) -> (Job, Arc<Memo>) {
        let memo = Arc::new(Memo::default());
        (Job::new(self.accepted.clone(), delivered, memo.clone()).unwrap(), memo)
    }

    /// Delivers the submission and waits until it is settled.
    async fn deliver(&self, delivered: u64, script: &Arc<Script>) -> Vec<Said> {
        let (job, memo) = self.job(delivered);
        self.deliveries.handle_delivery(job, &mut script.clone()).await;
        memo.said()
    }

    /// Delivers the submission as often as the queue is told to. Returns how long that took.
    async fn deliver_until_done(&self, script: &Arc<Script>) -> Duration {
        let began = tokio::time::Instant::now();
        for delivered in 2.. {
            match self.deliver(delivered, script).await.last() {
                Some(Said::Nak(delay)) => tokio::time::sleep(*delay).await,
                said => {
                    assert_eq!(said, Some(&Said::Ack));
                    break;
                }
            }
        }
        began.elapsed()
    }

    /// Delivers the submission and leaves it running.
    fn deliver_in_background(
        &self,
        script: &Arc<Script>,
    ) -> (tokio::task::JoinHandle<()>, Arc<Memo>) {
        let (job, memo) = self.job(1);
        let (deliveries, mut script) = (self.deliveries.clone(), script.clone());
        let tracker = tokio_util::task::TaskTracker::new();
        (tracker.spawn(async move { deliveries.handle_delivery(job, &mut script).await }), memo)
    }

    async fn events(&self) -> Vec<Event> {
        let history = self.ledger.history(id()).await.unwrap();
        history.into_iter().map(|stored| stored.recorded.envelope.event).collect()
    }

    async fn kinds(&self) -> Vec<String> {
        let short =
            |event: &Event| event.kind().split('.').next_back().unwrap_or_default().to_owned();
        self.events().await.iter().map(short).collect()
    }

    async fn aggregate(&self) -> Aggregate {
        let aggregate = self.ledger.load(id()).await.unwrap().unwrap();
        assert_eq!(aggregate.violations, 0);
        aggregate
    }

    async fn submission(&self) -> Submission {
        self.aggregate().await.submission
    }

    async fn completed(&self) -> Completed {
        match self.events().await.pop() {
            Some(Event::Completed(completed)) => *completed,
            other => panic!("the last event is {other:?}"),
        }
    }

    /// Another writer's event.
    async fn other(&self, life: u128, event: Event) {
        let mut aggregate = self.aggregate().await;
        self.ledger.execute(&mut aggregate, event, &writer("other", life)).await.unwrap();
    }

    async fn other_starts(&self, life: u128, attempt: u32) {
        self.other(life, Event::Started(started(life, attempt))).await;
    }

    async fn lose(&self, attempt: u32, reason: LostReason) {
        let observer = "other".parse().unwrap();
        self.other(7, Event::Lost(Lost { attempt, reason, observer })).await;
    }

    /// Lets time pass, at whose end this executor and others that have these versions of Python
    /// say so.
    async fn pass(&self, time: Duration, versions: &[&str]) {
        self.clock.advance(time);
        tokio::time::advance(time).await;
        let here = accepted("python").language.version;
        let offers = versions.iter().copied().chain([here.as_str()]).map(|version| LanguageOffer {
            slug: "python".parse().unwrap(),
            version: version.to_owned(),
            pool: "core".parse().unwrap(),
        });
        self.deliveries.context.offers.note(offers, self.clock.now());
    }

    async fn request_cancellation(&self) {
        let request = CancellationRequested { by: "user:u".to_owned(), reason: None };
        self.other(99, Event::CancellationRequested(request)).await;
    }
}

fn started(life: u128, attempt: u32) -> Started {
    Started { boot_id: boot(life), ..events::testing::started(attempt) }
}

fn ends(report: sandbox::protocol::StageReport) -> Act {
    Act::End(Box::new(report))
}

#[tokio::test]
async fn a_fresh_submission_is_run_recorded_and_acknowledged() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([ends(prints(b"hello\n"))]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "completed"]);
    let completed = stage.completed().await;
    assert_eq!((completed.verdict, completed.attempt), (Verdict::Finished, 1));
    assert_eq!(completed.stdout.content, Content::Text("hello\n".to_owned()));
    assert_eq!((completed.usage.cpu_us, completed.usage.memory_kib), (1_000, 3_000));
    assert_eq!((completed.cases, completed.results), (None, vec![]));
    let attempt = stage.submission().await.attempts.remove(0);
    assert_eq!((attempt.boot_id, attempt.image.as_str()), (boot(1), "runledger/core:test"));
    assert_eq!(attempt.language_version, accepted("python").language.version);
    assert_eq!(script.prepared.lock().unwrap()[0].files[0].content, b"source");
    assert_eq!(*script.in_use.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_compiled_language_tells_what_its_compiler_said() {
    let stage = Stage::with(accepted("cpp")).await;
    let script = Script::new([ends(prints(b"warning")), ends(fails(3))]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "compiled", "completed"]);
    let compiled = stage.submission().await.compiled.unwrap();
    assert!(compiled.ok);
    assert_eq!(compiled.output.content, Content::Text("warning".to_owned()));
    assert_eq!(stage.completed().await.verdict, Verdict::RuntimeError);
}

#[tokio::test]
async fn what_does_not_compile_does_not_run() {
    let stage = Stage::with(accepted_with_cases("cpp", 3)).await;
    let script = Script::new([ends(fails(1))]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "compiled", "completed"]);
    let completed = stage.completed().await;
    assert_eq!((completed.verdict, completed.exit), (Verdict::CompileError, None));
    let cases = completed.cases.unwrap();
    assert_eq!((cases.total, cases.run, cases.points, cases.points_max), (3, 0, 0, 6));
}

#[tokio::test]
async fn cases_are_judged_in_groups_and_summed_up() {
    let stage = Stage::with(accepted_with_cases("python", 40)).await;
    let mut acts = vec![ends(prints(b"ok\n")); 40];
    acts[20] = ends(prints(b"no"));
    acts[30] = ends(stopped(ExceededLimit::CpuTime));
    assert_eq!(stage.deliver(1, &Script::new(acts)).await, [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "judged", "judged", "completed"]);
    let completed = stage.completed().await;
    assert_eq!((completed.verdict, completed.results.len()), (Verdict::WrongAnswer, 8));
    assert_eq!(completed.stdout.content, Content::Text("no".to_owned()));
    let submission = stage.submission().await;
    assert_eq!(submission.results.len(), 40);
    let cases = completed.cases.unwrap();
    assert_eq!((cases.run, cases.passed, cases.points, cases.points_max), (40, 38, 76, 80));
    let all = serde_json::to_vec(&submission.results).unwrap();
    assert_eq!(cases.results_sha256, Digest::of(&all));
    assert_eq!(completed.usage.cpu_us, 40_000);
}

#[tokio::test(start_paused = true)]
async fn results_of_slow_cases_are_told_before_the_end() {
    let stage = Stage::with(accepted_with_cases("python", 3)).await;
    let slow = || Act::EndAfter(Duration::from_millis(700), Box::new(prints(b"ok")));
    stage.deliver(1, &Script::new([slow(), slow(), slow()])).await;
    assert_eq!(stage.kinds().await, ["accepted", "started", "judged", "judged", "completed"]);
}

#[tokio::test]
async fn a_suite_ends_when_its_total_time_is_over_and_says_so() {
    // Each run takes 2 ms.
    let submission = Accepted { total_time_ms: 3, ..accepted_with_cases("python", 10) };
    let stage = Stage::with(submission).await;
    let acts = [ends(prints(b"ok")), ends(stopped(ExceededLimit::WallTime))];
    stage.deliver(1, &Script::new(acts)).await;
    let completed = stage.completed().await;
    assert_eq!(completed.verdict, Verdict::TimeLimit);
    assert_eq!(completed.stopped_by, Some(StopCause::TotalTime));
    let cases = completed.cases.unwrap();
    assert_eq!((cases.total, cases.run, cases.passed), (10, 2, 1));
}

#[tokio::test]
async fn a_case_that_breaks_its_own_limit_leaves_time_for_the_others() {
    let stage = Stage::with(accepted_with_cases("python", 3)).await;
    let acts = [ends(stopped(ExceededLimit::WallTime)), ends(prints(b"ok"))];
    stage.deliver(1, &Script::new(acts)).await;
    let completed = stage.completed().await;
    assert_eq!(completed.stopped_by, Some(StopCause::WallTime));
    assert_eq!(completed.cases.unwrap().run, 3);
}

#[tokio::test]
async fn the_first_failure_can_be_the_last_case() {
    let submission = Accepted { stop_on_first_failure: true, ..accepted_with_cases("python", 10) };
    let stage = Stage::with(submission).await;
    stage.deliver(1, &Script::new([ends(prints(b"ok")), ends(fails(1))])).await;
    let cases = stage.completed().await.cases.unwrap();
    assert_eq!((cases.total, cases.run, cases.passed), (10, 2, 1));
}

#[tokio::test]
async fn a_suite_may_lie_in_the_object_store() {
    let Some(Suite::Inline { cases, sha256: _ }) = accepted_with_cases("python", 2).suite else {
        panic!("the suite is inline")
    };
    let json = serde_json::to_vec(&cases).unwrap();
    let object = ObjectRef::of(ObjectBucket::Tests, &json);
    let suite = Some(Suite::Object { object, count: 2 });
    let stage = Stage::with(Accepted { suite, ..accepted_with_cases("python", 2) }).await;
    stage.objects.put(ObjectBucket::Tests, json).await.unwrap();
    stage.deliver(1, &Script::new([])).await;
    assert_eq!(stage.completed().await.verdict, Verdict::Accepted);
}

#[tokio::test]
async fn an_outcome_that_no_message_can_hold_is_the_platform_s_failure() {
    let Some(Suite::Inline { mut cases, sha256: _ }) = accepted_with_cases("python", 1).suite
    else {
        panic!("the suite is inline")
    };
    cases[0].name = Some("n".repeat(PAYLOAD_BYTES_MAX));
    let json = serde_json::to_vec(&cases).unwrap();
    let object = ObjectRef::of(ObjectBucket::Tests, &json);
    let suite = Some(Suite::Object { object, count: 1 });
    let stage = Stage::with(Accepted { suite, ..accepted_with_cases("python", 1) }).await;
    stage.objects.put(ObjectBucket::Tests, json).await.unwrap();
    assert_eq!(stage.deliver(1, &Script::new([])).await, [Said::Ack]);
    let Some(Event::Failed(failed)) = stage.events().await.pop() else { panic!("it did not fail") };
    assert_eq!((failed.class, failed.attempts), (FailureClass::Unrunnable, 1));
}

#[tokio::test]
async fn large_outputs_go_to_the_object_store() {
    let stage = Stage::with(accepted("python")).await;
    let output = vec![b'x'; 100_000];
    stage.deliver(1, &Script::new([ends(prints(&output))])).await;
    let completed = stage.completed().await;
    let Content::Object(object) = &completed.stdout.content else { panic!("it is inline") };
    assert_eq!(stage.objects.get(object).await.unwrap(), output);
    assert_eq!(completed.stdout.bytes_total, 100_000);
    assert_eq!(completed.stderr.content, Content::default());
}

#[tokio::test]
async fn the_end_is_acknowledged_again_and_nothing_is_run() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([]);
    stage.deliver(1, &script).await;
    for delivered in [1, 2] {
        let script = Script::new([]);
        assert_eq!(stage.deliver(delivered, &script).await, [Said::Ack]);
    }
    assert_eq!(stage.kinds().await, ["accepted", "started", "completed"]);
    // A redelivery is seen through before a cell is used.
    let again = Script::new([]);
    stage.deliver(2, &again).await;
    assert_eq!(*again.taken.lock().unwrap(), 0);
}

#[tokio::test]
async fn an_old_submission_is_read_before_a_cell_is_taken() {
    let stage = Stage::with(accepted("python")).await;
    stage.deliver(1, &Script::new([])).await;
    stage.clock.advance(Duration::from_secs(1));
    // A durable that was made anew delivers it for the first time.
    let script = Script::new([]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    assert_eq!(*script.taken.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_new_submission_is_not_read_before_it_is_begun() {
    let stage = Stage::with(accepted("python")).await;
    let (reads, script) = (stage.store.reads(), Script::new([Act::Hang]));
    let (running, _memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    assert_eq!(stage.store.reads(), reads);
    running.abort();
}

#[tokio::test]
async fn a_lost_race_leaves_the_submission_to_the_winner() {
    let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(Held::Yes))).await;
    stage.other_starts(2, 1).await;
    let script = Script::new([]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Nak(ACK_WAIT)]);
    assert_eq!(stage.kinds().await, ["accepted", "started"]);
    assert_eq!(*script.in_use.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_attempt_of_a_dead_executor_is_lost_and_the_next_one_runs() {
    // One that is silent for long enough is as good as dead: it may be stopped for ever.
    for (answer, reason, seconds) in [
        (Held::Gone, LostReason::ExecutorGone, 3..5),
        (Held::Silent, LostReason::ExecutorGone, 45..50),
        (Held::No, LostReason::NotHeld, 0..1),
    ] {
        let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(answer))).await;
        stage.other_starts(2, 1).await;
        let took = stage.deliver_until_done(&Script::new([])).await;
        assert!(seconds.contains(&took.as_secs()), "{answer:?}: {took:?}");
        assert_eq!(stage.kinds().await, ["accepted", "started", "lost", "started", "completed"]);
        let submission = stage.submission().await;
        assert_eq!(submission.attempts[0].lost.unwrap().reason, reason);
        assert_eq!(stage.completed().await.attempt, 2);
    }
}

#[tokio::test]
async fn what_is_found_lost_goes_back_to_an_executor_with_a_place() {
    let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(Held::No))).await;
    stage.other_starts(2, 1).await;
    let script = Script::new([]);
    assert_eq!(stage.deliver(2, &script).await, [Said::Nak(Duration::ZERO)]);
    assert_eq!((*script.taken.lock().unwrap(), *script.given_back.lock().unwrap()), (0, 1));
    assert_eq!(stage.kinds().await, ["accepted", "started", "lost"]);
}

#[tokio::test(start_paused = true)]
async fn a_question_to_an_absent_executor_takes_no_place_and_no_time() {
    let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(Held::Silent))).await;
    stage.other_starts(2, 1).await;
    let (script, began) = (Script::new([]), tokio::time::Instant::now());
    assert!(matches!(stage.deliver(2, &script).await[..], [Said::Nak(_)]));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!((*script.taken.lock().unwrap(), *script.given_back.lock().unwrap()), (0, 1));
    assert_eq!(stage.kinds().await, ["accepted", "started"]);
}

#[tokio::test]
async fn what_this_life_began_and_does_not_hold_is_begun_anew() {
    let stage = Stage::with(accepted("python")).await;
    stage.other_starts(1, 1).await;
    assert_eq!(stage.deliver(2, &Script::new([])).await, [Said::Ack]);
    let submission = stage.submission().await;
    assert_eq!(submission.attempts[0].lost.unwrap().reason, LostReason::NotHeld);
    assert_eq!(submission.attempts.len(), 2);
}

#[tokio::test]
async fn our_own_redelivery_is_left_alone() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    assert_eq!(stage.deliver(2, &script).await, []);
    assert_eq!(stage.kinds().await, ["accepted", "started"]);
    running.abort();
    assert_eq!(memo.said(), []);
}

#[tokio::test]
async fn a_dead_cell_costs_an_attempt_and_not_the_submission() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Die { oom_killed: false }]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "lost", "started", "completed"]);
    let lost = stage.submission().await.attempts[0].lost.unwrap();
    assert_eq!(lost.reason, LostReason::CellDied);
}

#[tokio::test]
async fn after_its_second_loss_a_submission_asks_to_run_alone() {
    for losses in 0..3 {
        let stage = Stage::with(accepted("python")).await;
        for attempt in 1..=losses {
            stage.other_starts(2, attempt).await;
            stage.lose(attempt, LostReason::ExecutorGone).await;
        }
        let script = Script::new([]);
        assert_eq!(stage.deliver(2, &script).await, [Said::Ack]);
        assert_eq!(*script.ran_alone.lock().unwrap(), losses == 2, "{losses} losses");
    }
}

#[tokio::test]
async fn a_submission_that_kills_every_cell_is_given_up() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new(vec![Act::Die { oom_killed: false }; 9]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    let Some(Event::Failed(failed)) = stage.events().await.pop() else { panic!("it did not fail") };
    assert_eq!((failed.class, failed.attempts), (FailureClass::AttemptsExhausted, 3));
    assert_eq!(*script.taken.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_cell_that_died_for_want_of_memory_is_the_program_s_doing() {
    let stage = Stage::with(accepted_with_cases("python", 3)).await;
    let script = Script::new([ends(prints(b"ok")), Act::Die { oom_killed: true }]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    let completed = stage.completed().await;
    assert_eq!(
        (completed.verdict, completed.stopped_by),
        (Verdict::MemoryLimit, Some(StopCause::Memory))
    );
    let cases = completed.cases.unwrap();
    assert_eq!((cases.total, cases.run, cases.passed), (3, 2, 1));
}

#[tokio::test]
async fn a_compiler_that_ate_the_cell_s_memory_did_not_compile() {
    let stage = Stage::with(accepted("cpp")).await;
    assert_eq!(stage.deliver(1, &Script::new([Act::Die { oom_killed: true }])).await, [Said::Ack]);
    let completed = stage.completed().await;
    assert_eq!(
        (completed.verdict, completed.stopped_by),
        (Verdict::CompileError, Some(StopCause::Memory))
    );
}

#[tokio::test]
async fn a_cancellation_stops_the_cell_at_once() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    stage.request_cancellation().await;
    stage.deliveries.held.ring(id());
    running.await.unwrap();
    assert_eq!(memo.said(), [Said::Ack]);
    assert_eq!(stage.submission().await.state, State::Cancelled);
    assert_eq!(*script.in_use.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_whose_signal_is_lost_is_seen_a_heartbeat_later() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    stage.request_cancellation().await;
    let asked_at = tokio::time::Instant::now();
    running.await.unwrap();
    assert!(asked_at.elapsed() <= ACK_WAIT / 3);
    assert_eq!(memo.said().last(), Some(&Said::Ack));
    assert_eq!(stage.submission().await.state, State::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn the_heart_beats_by_the_ack_wait_that_is_in_force() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    tokio::time::sleep(ACK_WAIT / 4).await;
    assert_eq!(memo.said(), []);
    // Another executor has set a shorter one, under which this job is overdue.
    let short = Duration::from_secs(3);
    stage.deliveries.ack_wait.set(short);
    let mut heard = 0;
    for _ in 0..10 {
        tokio::time::sleep(short / 3).await;
        let said = memo.said().len();
        assert!(said > heard, "no heartbeat in a third of the wait");
        heard = said;
    }
    running.abort();
}

#[tokio::test]
async fn a_cancellation_that_wins_the_last_race_discards_the_verdict() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::EndAfter(Duration::from_millis(50), Box::new(prints(b"ok")))]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    // No bell: the executor finds out when it appends its verdict.
    stage.request_cancellation().await;
    running.await.unwrap();
    assert_eq!(memo.said(), [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "requested", "cancelled"]);
}

#[tokio::test]
async fn a_cancellation_nobody_carried_out_is_carried_out() {
    let stage = Stage::with(accepted("python")).await;
    stage.other_starts(2, 1).await;
    stage.request_cancellation().await;
    let script = Script::new([]);
    assert_eq!(stage.deliver(2, &script).await, [Said::Ack]);
    assert_eq!(stage.submission().await.state, State::Cancelled);
    assert_eq!(*script.taken.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_fenced_executor_reports_nothing() {
    let stage = Stage::with_peers(accepted("python"), Arc::new(Chorus(Held::Yes))).await;
    let script = Script::new([Act::EndAfter(Duration::from_millis(50), Box::new(prints(b"mine")))]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    // Somebody took us for dead and began the next attempt.
    stage.lose(1, LostReason::ExecutorGone).await;
    stage.other_starts(2, 2).await;
    running.await.unwrap();
    assert_eq!(memo.said(), [Said::Nak(ACK_WAIT)]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "lost", "started"]);
    assert_eq!(*script.in_use.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_while_the_ledger_is_full() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::EndAfter(Duration::from_secs(1), Box::new(prints(b"kept")))]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    stage.store.arrange(vec![Mishap::Full; 12]);
    running.await.unwrap();
    let completed = stage.completed().await;
    assert_eq!(completed.stdout.content, Content::Text("kept".to_owned()));
    // The queue was told all the while that the submission is alive.
    let said = memo.said();
    assert_eq!(said.last(), Some(&Said::Ack));
    assert!(said.iter().filter(|said| **said == Said::InProgress).count() >= 3, "{said:?}");
    assert_eq!(*script.taken.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_finds_no_room_is_cut_and_the_verdict_stands() {
    let stage = Stage::with(accepted("python")).await;
    stage.objects.fill_up(true);
    let long = vec![b'x'; INLINE_BYTES_MAX + 1];
    let script = Script::new([Act::End(Box::new(prints(&long)))]);
    stage.deliver(1, &script).await;
    let stdout = stage.completed().await.stdout;
    let kept = stdout.content.bytes().unwrap().len();
    assert!(kept > 0 && kept < long.len(), "{kept}");
    assert_eq!((stdout.bytes_total, stdout.truncated), (long.len() as u64, true));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_leads_to_one_end() {
    for mishaps in [
        vec![Mishap::AnswerLost],
        vec![Mishap::RequestLost, Mishap::AnswerLost],
        vec![Mishap::Away, Mishap::InFlight, Mishap::RequestLost],
    ] {
        let stage = Stage::with(accepted("python")).await;
        stage.store.arrange(mishaps.clone());
        let wait = Act::EndAfter(Duration::from_secs(30), Box::new(prints(b"ok")));
        let (running, memo) = stage.deliver_in_background(&Script::new([wait]));
        running.await.unwrap();
        assert_eq!(memo.said().last(), Some(&Said::Ack));
        assert_eq!(stage.kinds().await, ["accepted", "started", "completed"], "{mishaps:?}");
    }
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_handed_back() {
    let stage = Stage::with(accepted("python")).await;
    let script = Script::new([Act::Hang]);
    let (running, memo) = stage.deliver_in_background(&script);
    script.begun.notified().await;
    stage.deliveries.hand_back.cancel();
    running.await.unwrap();
    assert_eq!(memo.said(), [Said::Nak(Duration::ZERO)]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "lost"]);
    let lost = stage.submission().await.attempts[0].lost.unwrap();
    assert_eq!(lost.reason, LostReason::HandedBack);
    assert_eq!(*script.in_use.lock().unwrap(), 0);
    assert!(!stage.deliveries.held.contains(id()));
}

#[tokio::test]
async fn handing_back_does_not_use_attempts_up() {
    let stage = Stage::with(accepted("python")).await;
    for attempt in 1..=20 {
        stage.other_starts(2, attempt).await;
        stage.lose(attempt, LostReason::HandedBack).await;
    }
    let script = Script::new([]);
    assert_eq!(stage.deliver(2, &script).await, [Said::Ack]);
    assert_eq!(stage.completed().await.attempt, 21);
    assert!(!*script.ran_alone.lock().unwrap());
}

#[tokio::test]
async fn a_submission_that_is_handed_around_for_ever_is_given_up() {
    let stage = Stage::with(accepted("python")).await;
    for attempt in 1..=super::next_step::ATTEMPTS_EVER {
        stage.other_starts(2, attempt).await;
        stage.lose(attempt, LostReason::HandedBack).await;
    }
    assert_eq!(stage.deliver(2, &Script::new([])).await, [Said::Ack]);
    assert_eq!(stage.submission().await.state, State::Failed);
}

#[tokio::test]
async fn what_cannot_be_run_as_written_fails_without_an_attempt() {
    let checker = Checker::Floats { tolerance: "much".to_owned() };
    let stage = Stage::with(Accepted { checker, ..accepted("python") }).await;
    let script = Script::new([]);
    assert_eq!(stage.deliver(1, &script).await, [Said::Ack]);
    let Some(Event::Failed(failed)) = stage.events().await.pop() else { panic!("it did not fail") };
    assert_eq!((failed.class, failed.attempts), (FailureClass::Unrunnable, 0));
    assert!(failed.reason.contains("tolerance"), "{}", failed.reason);
    assert_eq!(*script.taken.lock().unwrap(), 0);
}

/// A submission that was accepted under another version of Python than the one here.
fn accepted_at(version: &str) -> Accepted {
    let mut submission = accepted("python");
    submission.language.version = version.to_owned();
    submission
}

#[tokio::test]
async fn a_submission_of_another_version_is_handed_on_and_costs_no_cell() {
    let moved = Accepted { pool: "extra".parse().unwrap(), ..accepted("python") };
    for submission in [accepted_at("3.99"), accepted_at("3.1"), accepted("cobol"), moved] {
        let stage = Stage::with(submission).await;
        let script = Script::new([]);
        assert_eq!(stage.deliver(1, &script).await, [Said::Nak(2 * SECOND)]);
        assert_eq!(stage.deliver(2, &script).await, [Said::Nak(4 * SECOND)]);
        assert_eq!(stage.kinds().await, ["accepted"]);
        assert_eq!(*script.taken.lock().unwrap(), 0);
    }
}

#[tokio::test]
async fn what_is_handed_on_can_be_cancelled() {
    let stage = Stage::with(accepted_at("3.99")).await;
    stage.request_cancellation().await;
    assert_eq!(stage.deliver(2, &Script::new([])).await, [Said::Ack]);
    assert_eq!(stage.submission().await.state, State::Cancelled);
}

#[tokio::test]
async fn a_submission_that_no_executor_has_the_language_of_is_given_up_after_a_day() {
    let stage = Stage::with(accepted_at("3.99")).await;
    let script = Script::new([]);
    stage.clock.advance(DAY);
    assert_eq!(stage.deliver(9, &script).await, [Said::Nak(60 * SECOND)]);
    stage.clock.advance(SECOND);
    assert_eq!(stage.deliver(9, &script).await, [Said::Ack]);
    let Some(Event::Failed(failed)) = stage.events().await.pop() else { panic!("it did not fail") };
    assert_eq!((failed.class, failed.attempts), (FailureClass::Unrunnable, 0));
    assert!(failed.reason.contains("3.99"), "{}", failed.reason);
    assert_eq!(*script.taken.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_runs_what_no_executor_had_the_version_of_for_an_hour() {
    let stage = Stage::with(accepted_at("3.1")).await;
    stage.pass(HOUR, &["3.1"]).await;
    assert!(matches!(stage.deliver(2, &Script::new([])).await[..], [Said::Nak(_)]));
    stage.pass(3_599 * SECOND, &[]).await;
    assert!(matches!(stage.deliver(3, &Script::new([])).await[..], [Said::Nak(_)]));
    stage.pass(SECOND, &[]).await;
    assert_eq!(stage.deliver(4, &Script::new([])).await, [Said::Ack]);
    assert_eq!(stage.kinds().await, ["accepted", "started", "completed"]);
    // The record has both: what was accepted, and what ran.
    let submission = stage.submission().await;
    let ran = submission.attempts[0].language_version.as_str();
    assert_eq!((submission.language.version.as_str(), ran), ("3.1", "3.11"));
}

#[tokio::test(start_paused = true)]
async fn an_older_version_or_a_forbidden_newer_one_never_runs() {
    let mut forbidden = Stage::with(accepted_at("3.1")).await;
    forbidden.deliveries.context.settings.newer_version_after = None;
    for stage in [forbidden, Stage::with(accepted_at("3.99")).await] {
        stage.pass(DAY, &[]).await;
        assert!(matches!(stage.deliver(2, &Script::new([])).await[..], [Said::Nak(_)]));
    }
}

#[tokio::test(start_paused = true)]
async fn content_that_is_nowhere_fails_the_submission() {
    let object = ObjectRef::of(ObjectBucket::Sources, b"never stored");
    let stage =
        Stage::with(Accepted { stdin: Content::Object(object), ..accepted("python") }).await;
    assert_eq!(stage.deliver(1, &Script::new([])).await.last(), Some(&Said::Ack));
    let Some(Event::Failed(failed)) = stage.events().await.pop() else { panic!("it did not fail") };
    assert_eq!((failed.class, failed.attempts), (FailureClass::Unrunnable, 1));
}
