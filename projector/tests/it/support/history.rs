//! Histories: several submissions of several users, interleaved, with illegal events among the
//! legal ones.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration};
use events::envelope::Writer;
use events::event::{
    Accepted, CancellationRequested, Cancelled, Case, CaseResult, CasesSummary, Compiled,
    Completed, Failed, FailureClass, Isolation, Judged, LanguageRef, Lost, LostReason, Origin,
    Started, Suite, Timings,
};
use events::submission::apply;
use events::testing::LEDGER;
use events::{
    BootId, Captured, Content, Digest, Envelope, Event, Exit, Family, Fold, Lane, LedgerPosition,
    Priority, Recorded, StopCause, Subject, Submission, SubmissionId, Timestamp, Usage, Verdict,
};
use ledger::{Followed, ForeignMessage, LedgerEntry, Stored};
use projector::batch::EventBatch;
use proptest::prelude::*;
use uuid::Uuid;

/// How many submissions a history has at most.
pub(crate) const SUBMISSIONS: u8 = 6;
/// The text that PostgreSQL's own text types refuse.
const WITH_NUL: &str = "a\0b";

/// One event to be: of which submission, of which kind, with what in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Which submission.
    pub(crate) submission: u8,
    /// What kind of event.
    pub(crate) kind: Kind,
    /// Decides details.
    pub(crate) salt: u8,
    /// Added to the attempt and case that would be right: 0 for an event that fits.
    pub(crate) slip: u8,
    /// How long after the step before.
    pub(crate) hours: u8,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Accept,
    Start,
    Compile,
    Judge,
    Lose,
    RequestCancellation,
    Complete,
    Fail,
    Cancel,
}

/// Any steps, more often in an order that makes sense than not.
pub(crate) fn steps(max: usize) -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        4 => Just(Kind::Accept),
        5 => Just(Kind::Start),
        2 => Just(Kind::Compile),
        4 => Just(Kind::Judge),
        2 => Just(Kind::Lose),
        1 => Just(Kind::RequestCancellation),
        4 => Just(Kind::Complete),
        1 => Just(Kind::Fail),
        1 => Just(Kind::Cancel),
    ];
    let slip = prop_oneof![9 => Just(0_u8), 1 => 1_u8..3];
    let hours = prop_oneof![6 => Just(0_u8), 3 => 1_u8..30, 1 => 30_u8..80];
    let step = (0..SUBMISSIONS, kind, any::<u8>(), slip, hours).prop_map(
        |(submission, kind, salt, slip, hours)| Step { submission, kind, salt, slip, hours },
    );
    prop::collection::vec(step, 1..max)
}

/// A step that fits, for tests that tell a story.
pub(crate) fn step(submission: u8, kind: Kind) -> Step {
    Step { submission, kind, salt: 0, slip: 0, hours: 0 }
}

/// Leaves out what the ledger never takes: a second acceptance of one id.
pub(crate) fn accepted_once(steps: &[Step]) -> Vec<Step> {
    let mut accepted = BTreeSet::new();
    let fits = |step: &&Step| step.kind != Kind::Accept || accepted.insert(step.submission);
    steps.iter().filter(fits).copied().collect()
}

/// The id of one of the submissions.
pub(crate) fn id(submission: u8) -> SubmissionId {
    SubmissionId::new(Uuid::from_u128(
        0x0190_a1b2_c3d4_7e5f_8a6b_0000_0000_0000 + u128::from(submission),
    ))
}

/// Records the steps from sequence 1 on.
pub(crate) fn record(steps: &[Step]) -> Vec<Recorded> {
    let mut folds = BTreeMap::<SubmissionId, Fold>::new();
    let mut at = start();
    let mut history = Vec::new();
    for (sequence, step) in (1..).zip(steps) {
        at += Duration::hours(i64::from(step.hours)) + Duration::nanoseconds(1_234_567);
        let fold = folds.entry(id(step.submission)).or_default();
        let recorded = stored(sequence, at, event(fold.submission.as_ref(), *step), *step);
        *fold = apply(std::mem::take(fold), &recorded);
        history.push(recorded);
    }
    history
}

/// The whole history as one batch.
pub(crate) fn batch(history: &[Recorded]) -> EventBatch {
    let mut entries: Vec<Followed> = Vec::new();
    for recorded in history {
        let next = entries.last().map_or(recorded.sequence, |last| last.position.sequence + 1);
        // What a replay has left out was foreign.
        entries.extend((next..recorded.sequence).map(foreign));
        entries.push(followed(recorded));
    }
    EventBatch::new(entries).unwrap()
}

fn foreign(sequence: u64) -> Followed {
    let digest = Digest::of(b"hi");
    let message = ForeignMessage {
        subject: "ledger.oops".to_owned(),
        sequence,
        stored_at: start(),
        payload: "hi".into(),
        digest,
        reason: "not a stored event".to_owned(),
    };
    let position = LedgerPosition { ledger: LEDGER, sequence, digest };
    Followed { position, entry: LedgerEntry::Foreign(message) }
}

/// A recorded event as a follower gets it.
pub(crate) fn followed(recorded: &Recorded) -> Followed {
    let (payload, recorded) = (recorded.envelope.encode().into(), recorded.clone());
    let subject = subject(&recorded).parse().unwrap();
    Followed {
        position: position(&recorded),
        entry: LedgerEntry::Event(Box::new(Stored { subject, payload, recorded })),
    }
}

/// Where a reader stands that has taken in this event.
pub(crate) fn position(recorded: &Recorded) -> LedgerPosition {
    let Recorded { sequence, digest, .. } = *recorded;
    LedgerPosition { ledger: LEDGER, sequence, digest }
}

/// The history cut into batches: after each event whose place is in `cuts`.
pub(crate) fn batches(history: &[Recorded], cuts: &[usize]) -> Vec<EventBatch> {
    let mut batches = Vec::new();
    let mut open = Vec::new();
    for (place, recorded) in history.iter().enumerate() {
        open.push(recorded.clone());
        if cuts.contains(&place) {
            batches.push(batch(&std::mem::take(&mut open)));
        }
    }
    if !open.is_empty() {
        batches.push(batch(&open));
    }
    batches
}

/// What the ledger's own fold makes of a history, with times as views have them.
pub(crate) fn replay(history: &[Recorded]) -> BTreeMap<SubmissionId, Fold> {
    let mut folds = BTreeMap::<SubmissionId, Fold>::new();
    for recorded in batch(history).events() {
        let fold = folds.entry(recorded.envelope.submission).or_default();
        *fold = apply(std::mem::take(fold), recorded);
    }
    folds
}

/// The subject that a recorded event stands under.
pub(crate) fn subject(recorded: &Recorded) -> String {
    let family = match &recorded.envelope.event {
        Event::Accepted(_) => Family::Submission,
        Event::Started(_)
        | Event::Compiled(_)
        | Event::Judged(_)
        | Event::Lost(_)
        | Event::CancellationRequested(_)
        | Event::Completed(_)
        | Event::Failed(_)
        | Event::Cancelled(_) => Family::Outcome,
    };
    let pool = "core".parse().unwrap();
    Subject {
        family,
        lane: Lane::Submit,
        priority: Priority::Normal,
        pool,
        id: recorded.envelope.submission,
    }
    .to_string()
}

fn start() -> Timestamp {
    // In the year 2096: a server must not take anything of these histories for long past.
    DateTime::from_timestamp(4_000_000_000, 123_456_789).unwrap()
}

fn stored(sequence: u64, stored_at: Timestamp, event: Event, step: Step) -> Recorded {
    let writer = Writer {
        source: "/test".to_owned(),
        actor: "test".to_owned(),
        instance: BootId::new(Uuid::from_u128(7)),
        traceparent: None,
    };
    let (envelope, bytes) = Envelope::write(id(step.submission), event, &writer, None, stored_at);
    let digest = Digest::of(&bytes);
    Recorded { sequence, stored_at, digest, envelope }
}

/// Makes the event of a step, fitting the state but for its slip.
fn event(submission: Option<&Submission>, step: Step) -> Event {
    let running = submission.and_then(|s| s.attempts.last()).map_or(0, |attempt| attempt.number);
    let attempt = running + u32::from(step.slip);
    let judged = submission.map_or(0, |s| s.results.len());
    let first = u32::try_from(judged).unwrap() + u32::from(step.slip);
    match step.kind {
        Kind::Accept => Event::Accepted(Box::new(accepted(step))),
        Kind::Start => Event::Started(started(attempt + 1, step)),
        Kind::Compile => Event::Compiled(compiled(attempt, step)),
        Kind::Judge => Event::Judged(Judged { attempt, first, results: results(first, step) }),
        Kind::Lose => {
            let reason = [LostReason::ExecutorGone, LostReason::NotHeld, LostReason::CellDied];
            let observer = "executor-b".parse().unwrap();
            Event::Lost(Lost { attempt, reason: reason[usize::from(step.salt) % 3], observer })
        }
        Kind::RequestCancellation => Event::CancellationRequested(CancellationRequested {
            by: "user:u0".to_owned(),
            reason: Some(WITH_NUL.to_owned()),
        }),
        Kind::Complete => Event::Completed(Box::new(completed(submission, attempt, first, step))),
        Kind::Fail => Event::Failed(Failed {
            class: FailureClass::AttemptsExhausted,
            reason: WITH_NUL.to_owned(),
            attempts: attempt,
        }),
        Kind::Cancel => Event::Cancelled(Cancelled { by: WITH_NUL.to_owned() }),
    }
}

/// A submission of one of three users, with one of three suites or none.
fn accepted(step: Step) -> Accepted {
    let suite = (!step.salt.is_multiple_of(4)).then(|| suite(step.salt % 4));
    let languages = ["python", "cpp", "bash"];
    Accepted {
        principal: format!("u{}", step.submission % 3).parse().unwrap(),
        lane: if suite.is_some() { Lane::Submit } else { Lane::Run },
        language: LanguageRef {
            slug: languages[usize::from(step.salt) % 3].parse().unwrap(),
            version: "1.2".to_owned(),
        },
        suite,
        request_hash: Digest::of(&[step.salt]),
        origin: [Origin::Native, Origin::Judge0, Origin::Piston][usize::from(step.salt) % 3],
        ..events::testing::accepted()
    }
}

fn suite(number: u8) -> Suite {
    let case = Case {
        stdin: Content::Text(number.to_string()),
        expected: Content::default(),
        points: 1,
        name: None,
    };
    let cases = vec![case; 5];
    let sha256 = Digest::of(&serde_json::to_vec(&cases).unwrap());
    Suite::Inline { cases, sha256 }
}

fn started(attempt: u32, step: Step) -> Started {
    Started {
        attempt,
        executor: "executor-a".parse().unwrap(),
        boot_id: BootId::new(Uuid::from_u128(u128::from(step.salt))),
        image: "runledger/core:dev".to_owned(),
        image_digest: "sha256:0".to_owned(),
        sandbox_profile: Digest::of(b"profile"),
        isolation: Isolation::SingleUse,
        kernel: "6.1".to_owned(),
        cpu_model: "a \"model\", {quoted}".to_owned(),
        language_version: step.salt.is_multiple_of(2).then(|| "1.3".to_owned()),
    }
}

fn compiled(attempt: u32, step: Step) -> Compiled {
    Compiled { attempt, ok: true, exit: Exit::Code(0), output: captured(step), usage: usage(step) }
}

fn captured(step: Step) -> Captured {
    let content = match step.salt % 3 {
        0 => Content::Text("ünï \u{1F980} \\ \" NULL {a,b}".to_owned()),
        1 => Content::Base64(vec![0, 0xff, step.salt]),
        _ => Content::default(),
    };
    Captured { bytes_total: 40, content, truncated: true }
}

fn usage(step: Step) -> Usage {
    let salt = u64::from(step.salt);
    Usage {
        cpu_us: salt,
        wall_us: salt * 1_000_000_007,
        discounted_us: salt * 1_000_003,
        memory_kib: u64::from(u32::MAX) + salt,
    }
}

fn results(first: u32, step: Step) -> Vec<CaseResult> {
    (first..first + u32::from(step.salt % 3))
        .map(|case| CaseResult {
            case,
            name: step.salt.is_multiple_of(2).then(|| format!("case {case} {WITH_NUL}")),
            verdict: Verdict::ALL[usize::from(step.salt) % Verdict::ALL.len()],
            exit: if step.salt.is_multiple_of(2) { Exit::Code(-1) } else { Exit::Signal(9) },
            usage: usage(step),
            output_sha256: Digest::of(&[step.salt]),
            points: u32::MAX,
        })
        .collect()
}

fn completed(submission: Option<&Submission>, attempt: u32, first: u32, step: Step) -> Completed {
    let judged = submission.is_some_and(|submission| submission.suite_sha256.is_some());
    // The first salt is the happy end, so that stories are short to tell.
    let verdict = Verdict::ALL[usize::from(step.salt) % Verdict::ALL.len()];
    let summary = CasesSummary {
        total: 5,
        run: 5,
        passed: 3,
        points: u64::from(step.salt),
        points_max: 255,
        results_sha256: Digest::of(b"results"),
    };
    Completed {
        attempt,
        verdict,
        exit: Some(Exit::Code(0)),
        stopped_by: step.salt.is_multiple_of(5).then_some(StopCause::WallTime),
        usage: usage(step),
        stdout: captured(step),
        stderr: Captured::default(),
        results: if judged { results(first, step) } else { Vec::new() },
        cases: judged.then_some(summary),
        timings: Timings { cell_us: 1, prepare_us: 2, run_us: 3 },
    }
}
