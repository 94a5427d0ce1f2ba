//! A whole submission.

use events::event::{CaseResult, Completed, Failed, FailureClass, Isolation};
use events::submission::Outcome;
use events::{Captured, Lane, State, StopCause, Submission, SubmissionId, Verdict};
use serde::Serialize;
use views::results::code_and_signal;

use super::{LanguageBody, OutputBody, ScoreBody, Stamp, UsageBody};

/// The outputs of a submission, fetched.
#[derive(Clone, Debug, Default)]
pub(crate) struct FetchedOutputs {
    pub(crate) stdout: Option<OutputBody>,
    pub(crate) stderr: Option<OutputBody>,
    pub(crate) compile_output: Option<OutputBody>,
}

/// The body of `GET /v1/submissions/{id}`. What is not known yet is null. Without an output, the
/// fields that describe it are absent.
#[derive(Debug, Serialize)]
pub(crate) struct SubmissionBody {
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
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_truncated: Option<bool>,
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_truncated: Option<bool>,
    compile_output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_output_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_output_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_output_truncated: Option<bool>,
    usage: Option<UsageBody>,
    compile_usage: Option<UsageBody>,
    cases: Vec<CaseBody>,
    score: Option<ScoreBody>,
    failure: Option<FailureBody>,
    ran_version: Option<String>,
    image_digest: Option<String>,
    isolation: Option<Isolation>,
    sequence: u64,
}

#[derive(Debug, Serialize)]
struct CaseBody {
    index: u32,
    name: Option<String>,
    verdict: Verdict,
    usage: UsageBody,
    exit_code: Option<i32>,
    signal: Option<i32>,
    points: u32,
}

#[derive(Debug, Serialize)]
struct FailureBody {
    class: FailureClass,
    reason: String,
}

impl SubmissionBody {
    /// Shows a submission with its outputs.
    pub(crate) fn of(submission: &Submission, outputs: FetchedOutputs) -> Self {
        let FetchedOutputs { stdout, stderr, compile_output } = outputs;
        let attempt = submission.attempts.last();
        let completed = completed(submission);
        let exit = completed.and_then(|completed| completed.exit);
        let (exit_code, signal) = exit.map(code_and_signal).unwrap_or_default();
        Self {
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
            exit_code,
            signal,
            limit: completed.and_then(|completed| completed.stopped_by),
            // What describes an output goes before the output itself, whose text is moved out.
            stdout_encoding: stdout.as_ref().and_then(|output| output.encoding),
            stdout_bytes: stdout.as_ref().map(|output| output.bytes),
            stdout_truncated: stdout.as_ref().map(|output| output.truncated),
            stdout: stdout.map(|output| output.text),
            stderr_encoding: stderr.as_ref().and_then(|output| output.encoding),
            stderr_bytes: stderr.as_ref().map(|output| output.bytes),
            stderr_truncated: stderr.as_ref().map(|output| output.truncated),
            stderr: stderr.map(|output| output.text),
            compile_output_encoding: compile_output.as_ref().and_then(|output| output.encoding),
            compile_output_bytes: compile_output.as_ref().map(|output| output.bytes),
            compile_output_truncated: compile_output.as_ref().map(|output| output.truncated),
            compile_output: compile_output.map(|output| output.text),
            usage: completed.and_then(Completed::program_usage).map(UsageBody::from),
            compile_usage: submission.compiled.as_ref().map(|it| it.usage.into()),
            cases: submission.results.iter().map(CaseBody::from).collect(),
            score: completed.and_then(|completed| completed.cases.as_ref()).map(ScoreBody::from),
            failure: failed(submission).map(FailureBody::from),
            ran_version: attempt.map(|attempt| attempt.language_version.clone()),
            image_digest: attempt.map(|attempt| attempt.image_digest.clone()),
            isolation: attempt.map(|attempt| attempt.isolation),
            sequence: submission.sequence,
        }
    }
}

/// Returns a submission's stdout, stderr and compiler output, each of which says where its bytes
/// are.
pub(crate) fn captured_outputs(submission: &Submission) -> [Option<&Captured>; 3] {
    let completed = completed(submission);
    [
        completed.map(|completed| &completed.stdout),
        completed.map(|completed| &completed.stderr),
        submission.compiled.as_ref().map(|compiled| &compiled.output),
    ]
}

impl From<&CaseResult> for CaseBody {
    fn from(result: &CaseResult) -> Self {
        let (exit_code, signal) = code_and_signal(result.exit);
        Self {
            index: result.case,
            name: result.name.clone(),
            verdict: result.verdict,
            usage: result.usage.into(),
            exit_code,
            signal,
            points: result.points,
        }
    }
}

impl From<&Failed> for FailureBody {
    fn from(failed: &Failed) -> Self {
        Self { class: failed.class, reason: failed.reason.clone() }
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
