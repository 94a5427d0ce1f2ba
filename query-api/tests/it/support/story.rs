//! A submission's life, told event by event into a ledger.

use std::sync::atomic::{AtomicU64, Ordering};

use events::envelope::Writer;
use events::event::{
    Accepted, CancellationRequested, Cancelled, Case, CaseResult, CasesSummary, Compiled,
    Completed, Failed, FailureClass, Judged, Started, Suite, Timings,
};
use events::{BootId, Captured, Content, Digest, Event, Exit, Lane, SubmissionId, Usage, Verdict};
use ledger::{Accepting, Aggregate, Ledger};

/// Ids are drawn from here, so that no two stories share one.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A submission.
pub(crate) struct Story {
    ledger: Ledger,
    aggregate: Aggregate,
}

impl Story {
    /// Takes it in.
    pub(crate) async fn begin(ledger: &Ledger, accepted: Accepted) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = SubmissionId::new(uuid::Uuid::from_u128(
            0x0190_a1b2_c3d4_7e5f_8a6b_0000_0000_0000 + u128::from(number),
        ));
        match ledger.accept(id, accepted, &writer()).await.unwrap() {
            Accepting::New(aggregate) => Self { ledger: ledger.clone(), aggregate },
            Accepting::Existing(_) => panic!("the id is taken"),
        }
    }

    pub(crate) fn id(&self) -> SubmissionId {
        self.aggregate.id()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.aggregate.submission.sequence
    }

    /// Records an event.
    pub(crate) async fn then(&mut self, event: Event) {
        self.ledger.execute(&mut self.aggregate, event, &writer()).await.unwrap();
    }

    pub(crate) async fn start(&mut self) {
        let image_digest = "sha256:abc".to_owned();
        self.then(Event::Started(Started { image_digest, ..events::testing::started(1) })).await;
    }

    pub(crate) async fn compile(&mut self, output: Captured) {
        let exit = Exit::Code(0);
        let compiled = Compiled { attempt: 1, ok: true, exit, output, usage: usage() };
        self.then(Event::Compiled(compiled)).await;
    }

    pub(crate) async fn judge(&mut self, first: u32, results: Vec<CaseResult>) {
        self.then(Event::Judged(Judged { attempt: 1, first, results })).await;
    }

    pub(crate) async fn complete(&mut self, completed: Completed) {
        self.then(Event::Completed(Box::new(completed))).await;
    }

    /// Runs it to a plain end.
    pub(crate) async fn finish(&mut self) {
        self.start().await;
        self.complete(completed()).await;
    }

    pub(crate) async fn fail(&mut self) {
        let class = FailureClass::Unrunnable;
        let failed = Failed { class, reason: "no such language".to_owned(), attempts: 1 };
        self.then(Event::Failed(failed)).await;
    }

    pub(crate) async fn ask_to_cancel(&mut self) {
        let request = CancellationRequested { by: "user:ada".to_owned(), reason: None };
        self.then(Event::CancellationRequested(request)).await;
    }

    pub(crate) async fn cancel(&mut self) {
        self.then(Event::Cancelled(Cancelled { by: "executor:x1".to_owned() })).await;
    }
}

/// A run of a user's.
pub(crate) fn accepted(user: &str) -> Accepted {
    Accepted { principal: user.parse().unwrap(), ..events::testing::accepted() }
}

/// The same with so many cases to be judged by.
pub(crate) fn with_cases(accepted: Accepted, count: usize) -> Accepted {
    let case =
        Case { stdin: text(""), expected: text("x"), points: 2, name: Some("a\0b".to_owned()) };
    let cases = vec![case; count];
    let sha256 = Digest::of(&serde_json::to_vec(&cases).unwrap());
    Accepted { lane: Lane::Submit, suite: Some(Suite::Inline { cases, sha256 }), ..accepted }
}

/// A run that ended well.
pub(crate) fn completed() -> Completed {
    Completed {
        attempt: 1,
        verdict: Verdict::Finished,
        exit: Some(Exit::Code(0)),
        stopped_by: None,
        usage: usage(),
        stdout: Captured { content: text("hi\n"), bytes_total: 3, truncated: false },
        stderr: Captured::default(),
        results: Vec::new(),
        cases: None,
        timings: Timings::default(),
    }
}

/// The result of one case of two points.
pub(crate) fn case_result(case: u32, verdict: Verdict) -> CaseResult {
    let passed = verdict == Verdict::Accepted;
    CaseResult {
        case,
        name: Some("a\0b".to_owned()),
        verdict,
        exit: if passed { Exit::Code(0) } else { Exit::Signal(11) },
        usage: usage(),
        output_sha256: Digest::of(b"x"),
        points: if passed { 2 } else { 0 },
    }
}

/// The end of a submission of which so many cases of so many have passed.
pub(crate) fn judged(passed: u32, total: u32, results: Vec<CaseResult>) -> Completed {
    let summary = CasesSummary {
        total,
        run: total,
        passed,
        points: u64::from(passed * 2),
        points_max: u64::from(total * 2),
        results_sha256: Digest::of(b"results"),
    };
    let verdict = if passed == total { Verdict::Accepted } else { Verdict::WrongAnswer };
    Completed { verdict, results, cases: Some(summary), ..completed() }
}

pub(crate) fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn usage() -> Usage {
    Usage { cpu_us: 12_345, wall_us: 20_000, discounted_us: 1_500, memory_kib: 9_000 }
}

fn writer() -> Writer {
    Writer {
        source: "/test".to_owned(),
        actor: "test".to_owned(),
        instance: BootId::new(uuid::Uuid::from_u128(1)),
        traceparent: None,
    }
}
