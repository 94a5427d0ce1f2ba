//! A whole submission.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use events::event::{CaseResult, Completed, Failed, FailureClass, Isolation};
use events::submission::Outcome;
use events::{
    Captured, Digest, Lane, ObjectRef, State, StopCause, Submission, SubmissionId, Verdict,
};
use futures::stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use views::results::{Score, code_and_signal};

use super::output::{OutputBytes, OutputName, OutputPieces};
use super::{LanguageBody, ScoreBody, Stamp, UsageBody, completed};

/// The most bytes of outputs in an answer that is made whole before it is sent.
const WHOLE_BYTES_MAX: usize = 16 * 1024;

/// What was fetched of a submission's outputs.
#[derive(Debug, Default)]
pub(crate) struct FetchedOutputs {
    /// The bytes of those outputs that do not stand in the events.
    pub(crate) bytes: Vec<(OutputName, Vec<u8>)>,
    /// The right to hold them in memory, which ends when they have been sent.
    pub(crate) memory: Option<OwnedSemaphorePermit>,
}

/// The body of `GET /v1/submissions/{id}`, written piece by piece. What is not known yet is null.
/// Without an output, the members that describe it are absent.
#[derive(Debug)]
pub(crate) struct SubmissionBody {
    parts: std::vec::IntoIter<BodyPart>,
    writing: Option<OutputPieces>,
    _memory: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum BodyPart {
    Json(String),
    Output(OutputPieces),
}

/// The members before the outputs.
#[derive(Debug, Serialize)]
struct MembersBefore {
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

/// What is known for ever of an output that has expired.
#[derive(Debug, Serialize)]
struct ExpiredBody {
    sha256: Digest,
    bytes: u64,
}

/// The members behind the outputs.
#[derive(Debug, Serialize)]
struct MembersBehind {
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
    pub(crate) fn of(submission: &Arc<Submission>, fetched: FetchedOutputs) -> Self {
        let FetchedOutputs { mut bytes, memory } = fetched;
        let mut before = json(&MembersBefore::from(&**submission));
        // Its last brace, behind which the object goes on.
        before.pop();
        let mut parts = vec![BodyPart::Json(before)];
        for name in OutputName::ALL {
            let Some(captured) = name.captured(submission) else {
                parts.push(BodyPart::Json(format!(",\"{}\":null", name.member())));
                continue;
            };
            let place = bytes.iter().position(|(fetched, _)| *fetched == name);
            let bytes = match (place, captured.content.bytes()) {
                (Some(place), _) => OutputBytes::Fetched(bytes.swap_remove(place).1),
                (None, Ok(_)) => OutputBytes::InEvents(Arc::clone(submission), name),
                (None, Err(object)) => {
                    parts.push(expired_part(name, captured, object));
                    continue;
                }
            };
            parts.extend(output_parts(name, captured, OutputPieces::of(bytes)));
        }
        let behind = json(&MembersBehind::from(&**submission)).replacen('{', ",", 1);
        parts.push(BodyPart::Json(behind));
        Self { parts: parts.into_iter(), writing: None, _memory: memory }
    }

    /// Returns the body of an answer: whole if it is small, else as a stream.
    pub(crate) fn into_body(self) -> Body {
        let outputs = self.parts.as_slice().iter().map(|part| match part {
            BodyPart::Json(_) => 0,
            BodyPart::Output(pieces) => pieces.bytes_left(),
        });
        if outputs.sum::<usize>() <= WHOLE_BYTES_MAX {
            // With a length in its head, which a stream has not.
            return Body::from(self.collect::<Vec<_>>().concat());
        }
        Body::from_stream(stream::iter(self.map(Ok::<_, Infallible>)))
    }
}

impl Iterator for SubmissionBody {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.writing.as_mut().and_then(Iterator::next) {
                return Some(piece);
            }
            self.writing = None;
            match self.parts.next()? {
                BodyPart::Json(json) => return Some(json.into()),
                BodyPart::Output(pieces) => self.writing = Some(pieces),
            }
        }
    }
}

impl From<&Submission> for MembersBefore {
    fn from(submission: &Submission) -> Self {
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
        }
    }
}

impl From<&Submission> for MembersBehind {
    fn from(submission: &Submission) -> Self {
        let attempt = submission.attempts.last();
        let completed = completed(submission);
        let score = completed.and_then(|completed| completed.cases.as_ref()).map(Score::from);
        Self {
            usage: completed.and_then(Completed::program_usage).map(UsageBody::from),
            compile_usage: submission.compiled.as_ref().map(|it| it.usage.into()),
            cases: submission.results.iter().map(CaseBody::from).collect(),
            score: score.map(ScoreBody::from),
            failure: failed(submission).map(FailureBody::from),
            ran_version: attempt.map(|attempt| attempt.language_version.clone()),
            image_digest: attempt.map(|attempt| attempt.image_digest.clone()),
            isolation: attempt.map(|attempt| attempt.isolation),
            sequence: submission.sequence,
        }
    }
}

/// Writes an output between its quotes, and behind it the members that describe it.
fn output_parts(name: OutputName, captured: &Captured, pieces: OutputPieces) -> [BodyPart; 3] {
    let member = name.member();
    let encoding = pieces.encoding();
    let encoding = encoding.map(|name| format!(",\"{member}_encoding\":\"{name}\""));
    let encoding = encoding.unwrap_or_default();
    [
        BodyPart::Json(format!(",\"{member}\":\"")),
        BodyPart::Output(pieces),
        BodyPart::Json(format!("\"{encoding}{}", lengths(member, captured))),
    ]
}

/// Writes what is left of an output that has expired.
fn expired_part(name: OutputName, captured: &Captured, object: &ObjectRef) -> BodyPart {
    let member = name.member();
    let expired = json(&ExpiredBody { sha256: object.sha256, bytes: object.bytes });
    let lengths = lengths(member, captured);
    BodyPart::Json(format!(",\"{member}\":null{lengths},\"{member}_expired\":{expired}"))
}

/// Writes how many bytes the program wrote, and whether the output is only the beginning of them.
fn lengths(member: &str, captured: &Captured) -> String {
    let (bytes, truncated) = (captured.bytes_total, captured.truncated);
    format!(",\"{member}_bytes\":{bytes},\"{member}_truncated\":{truncated}")
}

fn json(members: &impl Serialize) -> String {
    serde_json::to_string(members).expect("it is made of texts and numbers")
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

fn failed(submission: &Submission) -> Option<&Failed> {
    match &submission.outcome {
        Some(Outcome::Failed(failed)) => Some(failed),
        Some(Outcome::Completed(_) | Outcome::Cancelled(_)) | None => None,
    }
}
