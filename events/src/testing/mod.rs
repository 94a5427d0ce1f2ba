//! Samples of every event, for tests of this crate and of those that build on it.

mod limits;
mod ports;

use uuid::Uuid;

use crate::Timestamp;
use crate::content::{Captured, Content};
use crate::digest::Digest;
use crate::envelope::{Envelope, Predecessor, Recorded, Writer};
use crate::event::{
    Accepted, CancellationRequested, Cancelled, Case, CaseResult, CasesSummary, Checker, Compiled,
    Completed, Event, Failed, FailureClass, Isolation, Judged, LanguageRef, Lost, LostReason,
    Origin, SourceFile, Started, Suite, Timings,
};
use crate::ids::{BootId, LedgerId, SubmissionId};
use crate::limits::LimitPolicy;
use crate::names::ExecutorName;
use crate::subject::{Lane, Priority};
use crate::verdict::{Exit, StopCause, Usage, Verdict};

pub use ports::{ManualClock, SeededIds};

/// The submission of every sample.
pub const SUBMISSION: SubmissionId =
    SubmissionId::new(Uuid::from_u128(0x0190_a1b2_c3d4_7e5f_8a6b_7c8d_9e0f_1a2b));
/// The boot id of every sample.
pub const BOOT: BootId = BootId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_b007));
/// The ledger of every sample.
pub const LEDGER: LedgerId =
    LedgerId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_001e_d6e4));
/// The user of every sample.
pub const USER: &str = "ada";

/// Parses a name that is known to be good.
pub fn name<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("a sample's name is good")
}

/// An instant, `seconds` after a fixed one.
pub fn instant(seconds: u32) -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000 + i64::from(seconds), 0)
        .expect("a sample's time is in range")
}

/// A Python hello world in lane `run`.
pub fn accepted() -> Accepted {
    Accepted {
        principal: name(USER),
        end_user: None,
        lane: Lane::Run,
        priority: Priority::Normal,
        pool: name("core"),
        language: LanguageRef { slug: name("python"), version: "3.11".to_owned() },
        files: vec![SourceFile {
            name: name("main.py"),
            content: Content::Text("print('hello')\n".to_owned()),
        }],
        stdin: Content::default(),
        args: Vec::new(),
        compiler_options: Vec::new(),
        limits: LimitPolicy::default().default,
        total_time_ms: 600_000,
        suite: None,
        checker: Checker::Lines,
        stop_on_first_failure: false,
        request_hash: Digest::of(b"request"),
        origin: Origin::Native,
    }
}

/// The same program with `count` cases, in lane `submit`.
pub fn accepted_with_cases(count: u32) -> Accepted {
    let case = |number: u32| Case {
        stdin: Content::Text(number.to_string()),
        expected: Content::Text("hello".to_owned()),
        points: 1,
        name: Some(format!("case {number}")),
    };
    let cases: Vec<_> = (0..count).map(case).collect();
    let sha256 = Digest::of(&serde_json::to_vec(&cases).expect("cases are JSON"));
    Accepted { lane: Lane::Submit, suite: Some(Suite::Inline { cases, sha256 }), ..accepted() }
}

/// The start of attempt `attempt`.
pub fn started(attempt: u32) -> Started {
    Started {
        attempt,
        executor: executor(),
        boot_id: BOOT,
        image: "runledger/core:dev".to_owned(),
        image_digest: "sha256:0f1e".to_owned(),
        sandbox_profile: Digest::of(b"profile"),
        isolation: Isolation::SingleUse,
        kernel: "6.1.0".to_owned(),
        cpu_model: "a processor".to_owned(),
        language_version: Some("3.11".to_owned()),
    }
}

/// The executor of every sample.
pub fn executor() -> ExecutorName {
    name("executor-1")
}

/// A compilation that went well.
pub fn compiled(attempt: u32) -> Compiled {
    let usage = Usage { cpu_us: 200_000, wall_us: 250_000, discounted_us: 0, memory_kib: 90_000 };
    Compiled { attempt, ok: true, exit: Exit::Code(0), output: text("warning: unused\n"), usage }
}

fn usage() -> Usage {
    Usage { cpu_us: 9_000, wall_us: 10_000, discounted_us: 500, memory_kib: 9_000 }
}

/// The result of one case.
pub fn case_result(case: u32, verdict: Verdict) -> CaseResult {
    CaseResult {
        case,
        name: Some(format!("case {case}")),
        verdict,
        exit: Exit::Code(0),
        usage: usage(),
        output_sha256: Digest::of(b"hello\n"),
        points: u32::from(verdict == Verdict::Accepted),
    }
}

/// Accepted results of cases `first` to `first + count - 1`.
pub fn judged(attempt: u32, first: u32, count: u32) -> Judged {
    let results = (first..first + count).map(|case| case_result(case, Verdict::Accepted)).collect();
    Judged { attempt, first, results }
}

/// A lost attempt.
pub fn lost(attempt: u32) -> Lost {
    Lost { attempt, reason: LostReason::ExecutorGone, observer: name("executor-2") }
}

/// A request to cancel.
pub fn cancellation_requested() -> CancellationRequested {
    CancellationRequested {
        by: format!("user:{USER}"),
        reason: Some("no longer needed".to_owned()),
    }
}

/// A cancellation by an executor.
pub fn cancelled() -> Cancelled {
    Cancelled { by: "executor:executor-1".to_owned() }
}

/// A run that ended well.
pub fn completed(attempt: u32) -> Completed {
    Completed {
        attempt,
        verdict: Verdict::Finished,
        exit: Some(Exit::Code(0)),
        stopped_by: None,
        usage: usage(),
        stdout: text("hello\n"),
        stderr: Captured::default(),
        results: Vec::new(),
        cases: None,
        timings: Timings { cell_us: 200, prepare_us: 900, run_us: 10_500 },
    }
}

/// A verdict over cases, of which the last `count` results stand in no event before.
pub fn completed_with_cases(attempt: u32, first: u32, count: u32) -> Completed {
    let results = judged(attempt, first, count).results;
    let total = first + count;
    let cases = CasesSummary {
        total,
        run: total,
        passed: total,
        points: u64::from(total),
        points_max: u64::from(total),
        results_sha256: Digest::of(b"results"),
    };
    Completed { verdict: Verdict::Accepted, results, cases: Some(cases), ..completed(attempt) }
}

/// A run that was stopped.
pub fn stopped(attempt: u32) -> Completed {
    let stopped_by = Some(StopCause::CpuTime);
    Completed {
        verdict: Verdict::TimeLimit,
        exit: Some(Exit::Signal(9)),
        stopped_by,
        ..completed(attempt)
    }
}

/// The platform gives up after `attempts`.
pub fn failed(attempts: u32) -> Failed {
    Failed {
        class: FailureClass::AttemptsExhausted,
        reason: "3 attempts were lost".to_owned(),
        attempts,
    }
}

/// The writer of every sample.
pub fn writer() -> Writer {
    Writer {
        source: "/executor/executor-1".to_owned(),
        actor: "executor:executor-1".to_owned(),
        instance: BOOT,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

/// Records `events` of [`SUBMISSION`] one after the other, from sequence 1, a second apart, with an
/// intact chain.
pub fn record(events: impl IntoIterator<Item = Event>) -> Vec<Recorded> {
    let mut previous: Option<Predecessor> = None;
    let mut records = Vec::new();
    for (sequence, event) in (1_u32..).zip(events) {
        let at = instant(sequence);
        let (_, bytes) = Envelope::write(SUBMISSION, event, &writer(), previous, at);
        let recorded = Recorded::decode(u64::from(sequence), at, &bytes)
            .expect("what was encoded can be decoded");
        previous = Some(recorded.as_predecessor());
        records.push(recorded);
    }
    records
}

fn text(text: &str) -> Captured {
    Captured {
        content: Content::Text(text.to_owned()),
        bytes_total: text.len() as u64,
        truncated: false,
    }
}
