//! What ran, and what is written down of it.

use std::time::Duration;

use events::content::INLINE_BYTES_MAX;
use events::event::{Accepted, Checker, Event, FailureClass, Suite};
use events::{Content, Digest, ObjectBucket, ObjectRef, StopCause, Verdict};
use ledger::{OBJECT_BYTES_MAX, ObjectStore as _, StorageUsage};
use platform::config::load_from;
use sandbox::protocol::ExceededLimit;

use super::{Stage, boot};
use crate::config::{Config, DEFAULTS};
use crate::testing::{Act, Said, Script, accepted, accepted_with_cases, fails, prints, stopped};

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
    // Enough that a group of results says more than the cases do.
    const CASES: usize = 16;
    let Some(Suite::Inline { mut cases, sha256: _ }) = accepted_with_cases("python", CASES).suite
    else {
        panic!("the suite is inline")
    };
    // As long as an object may be.
    cases[0].name = Some(String::new());
    let others = serde_json::to_vec(&cases).unwrap().len();
    cases[0].name = Some("n".repeat(OBJECT_BYTES_MAX - others));
    let json = serde_json::to_vec(&cases).unwrap();
    let object = ObjectRef::of(ObjectBucket::Tests, &json);
    let suite = Some(Suite::Object { object, count: u32::try_from(CASES).unwrap() });
    let stage = Stage::with(Accepted { suite, ..accepted_with_cases("python", CASES) }).await;
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
async fn an_output_is_cut_to_what_fits_into_its_event_long_before_the_bucket_is_full() {
    let stage = Stage::with(accepted("python")).await;
    let filled = |percent| StorageUsage {
        bytes: percent,
        bytes_max: 100,
        messages: 1,
        first_sequence: 1,
        last_sequence: 1,
    };
    let password = ("RUNLEDGER__NATS__PASSWORD".to_owned(), "of executor".to_owned());
    let config: Config = load_from(DEFAULTS, None, [password]).unwrap();
    let room = &stage.deliveries.context.outputs_room;
    room.note(&filled(0), &filled(60), config.room);
    let long = vec![b'x'; 2 * INLINE_BYTES_MAX];
    stage.deliver(1, &Script::new([ends(prints(&long))])).await;
    let stdout = stage.completed().await.stdout;
    assert_eq!(stdout.content.bytes().unwrap().len(), INLINE_BYTES_MAX);
    assert_eq!((stdout.bytes_total, stdout.truncated), (long.len() as u64, true));
    assert!(stage.objects.stored().is_empty());
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

#[tokio::test(start_paused = true)]
async fn content_that_is_nowhere_fails_the_submission() {
    let object = ObjectRef::of(ObjectBucket::Sources, b"never stored");
    let stage =
        Stage::with(Accepted { stdin: Content::Object(object), ..accepted("python") }).await;
    assert_eq!(stage.deliver(1, &Script::new([])).await.last(), Some(&Said::Ack));
    let Some(Event::Failed(failed)) = stage.events().await.pop() else { panic!("it did not fail") };
    assert_eq!((failed.class, failed.attempts), (FailureClass::Unrunnable, 1));
}
