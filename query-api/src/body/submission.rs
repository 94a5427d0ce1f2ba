//! A whole submission.

use events::event::{CaseResult, Compiled, Completed, Failed, FailureClass, Isolation};
use events::submission::Outcome;
use events::{Lane, State, StopCause, Submission, SubmissionId, Verdict};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{LanguageBody, OutputBody, ScoreBody, Stamp, UsageBody, exit_code, signal};

/// A submission whose outputs are at hand.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) submission: Submission,
    pub(crate) stdout: Option<OutputBody>,
    pub(crate) stderr: Option<OutputBody>,
    pub(crate) compile_output: Option<OutputBody>,
}

/// The body of `GET /v1/submissions/{id}`.
#[derive(Debug)]
pub(crate) struct SubmissionBody(Map<String, Value>);

impl Serialize for SubmissionBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The members before the outputs.
#[derive(Serialize)]
struct Head {
    id: SubmissionId,
    state: State,
    verdict: Option<Verdict>,
    language: LanguageBody,
    lane: Lane,
    attempt: u32,
    accepted_at: Stamp,
    started_at: Option<Stamp>,
    compiled_at: Option<Stamp>,
    cancellation_requested_at: Option<Stamp>,
    finished_at: Option<Stamp>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    limit: Option<StopCause>,
}

/// The members after the outputs.
#[derive(Serialize)]
struct Tail<'a> {
    usage: Option<UsageBody>,
    cases: Vec<CaseBody<'a>>,
    score: Option<ScoreBody>,
    failure: Option<FailureBody<'a>>,
    image_digest: Option<&'a str>,
    isolation: Option<Isolation>,
    sequence: u64,
}

#[derive(Serialize)]
struct CaseBody<'a> {
    index: u32,
    name: Option<&'a str>,
    verdict: Verdict,
    usage: UsageBody,
    exit_code: Option<i32>,
    signal: Option<i32>,
    points: u32,
}

#[derive(Serialize)]
struct FailureBody<'a> {
    class: FailureClass,
    reason: &'a str,
}

impl From<Resolved> for SubmissionBody {
    fn from(resolved: Resolved) -> Self {
        let Resolved { submission, stdout, stderr, compile_output } = resolved;
        let mut members = members_of(&head(&submission));
        OutputBody::add(stdout, "stdout", &mut members);
        OutputBody::add(stderr, "stderr", &mut members);
        OutputBody::add(compile_output, "compile_output", &mut members);
        members.append(&mut members_of(&tail(&submission)));
        Self(members)
    }
}

impl Resolved {
    /// Returns what a submission's outputs are, and where their bytes lie.
    pub(crate) fn captured(submission: &Submission) -> [Option<&events::Captured>; 3] {
        let completed = completed(submission);
        let compiled: Option<&Compiled> = submission.compiled.as_ref();
        [
            completed.map(|completed| &completed.stdout),
            completed.map(|completed| &completed.stderr),
            compiled.map(|compiled| &compiled.output),
        ]
    }
}

fn members_of(part: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(part) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => unreachable!("a struct with text keys is an object"),
    }
}

fn head(submission: &Submission) -> Head {
    let attempt = submission.attempts.last();
    let completed = completed(submission);
    let exit = completed.and_then(|completed| completed.exit);
    Head {
        id: submission.id,
        state: submission.state,
        verdict: submission.verdict(),
        language: LanguageBody::from(&submission.language),
        lane: submission.lane,
        attempt: attempt.map_or(0, |attempt| attempt.number),
        accepted_at: Stamp(submission.accepted_at),
        started_at: attempt.map(|attempt| Stamp(attempt.started_at)),
        compiled_at: submission.compiled_at.map(Stamp),
        cancellation_requested_at: submission.cancellation_requested_at.map(Stamp),
        finished_at: submission.finished_at.map(Stamp),
        exit_code: exit.and_then(exit_code),
        signal: exit.and_then(signal),
        limit: completed.and_then(|completed| completed.stopped_by),
    }
}

fn tail(submission: &Submission) -> Tail<'_> {
    let attempt = submission.attempts.last();
    let completed = completed(submission);
    Tail {
        usage: completed.map(|completed| completed.usage.into()),
        cases: submission.results.iter().map(CaseBody::from).collect(),
        score: completed.and_then(|completed| completed.cases.as_ref()).map(ScoreBody::from),
        failure: failed(submission)
            .map(|failed| FailureBody { class: failed.class, reason: &failed.reason }),
        image_digest: attempt.map(|attempt| attempt.image_digest.as_str()),
        isolation: attempt.map(|attempt| attempt.isolation),
        sequence: submission.sequence,
    }
}

impl<'a> From<&'a CaseResult> for CaseBody<'a> {
    fn from(result: &'a CaseResult) -> Self {
        Self {
            index: result.case,
            name: result.name.as_deref(),
            verdict: result.verdict,
            usage: result.usage.into(),
            exit_code: exit_code(result.exit),
            signal: signal(result.exit),
            points: result.points,
        }
    }
}

fn completed(submission: &Submission) -> Option<&Completed> {
    match &submission.outcome {
        Some(Outcome::Completed(completed)) => Some(completed),
        Some(Outcome::Failed(_) | Outcome::Cancelled(_)) | None => None,
    }
}

fn failed(submission: &Submission) -> Option<&Failed> {
    match &submission.outcome {
        Some(Outcome::Failed(failed)) => Some(failed),
        Some(Outcome::Completed(_) | Outcome::Cancelled(_)) | None => None,
    }
}
