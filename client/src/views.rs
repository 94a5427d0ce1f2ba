//! What the server answers, as far as clients show it. Members that are not listed here are left
//! alone, so that an older client reads a newer server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::ClientError;

/// A submission.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct SubmissionView {
    pub id: String,
    pub state: String,
    pub verdict: Option<String>,
    pub language: LanguageView,
    /// The number of the attempt, 0 before the first.
    pub attempt: u32,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// The limit that stopped the program.
    pub limit: Option<String>,
    pub usage: Option<UsageView>,
    /// The results of its cases so far.
    pub cases: Vec<CaseView>,
    pub score: Option<ScoreView>,
    pub failure: Option<FailureView>,
    /// The sequence of its last event.
    pub sequence: u64,
    /// What the compiler and the program wrote, without empty outputs.
    #[serde(skip)]
    pub outputs: Vec<OutputView>,
}

/// A language at one version.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LanguageView {
    pub slug: String,
    pub version: String,
}

/// What a run used.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct UsageView {
    pub cpu_ms: f64,
    pub wall_ms: f64,
    pub memory_kib: u64,
}

/// The result of one case.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct CaseView {
    /// Its number, from 0.
    pub index: u32,
    pub name: Option<String>,
    pub verdict: String,
    pub usage: UsageView,
    pub points: u64,
}

/// All cases in short.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ScoreView {
    pub points: u64,
    pub points_max: u64,
    /// How many cases are accepted, of `total`.
    pub passed: u32,
    pub total: u32,
}

/// Why the platform could not run a submission.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct FailureView {
    pub class: String,
    pub reason: String,
}

/// One event with its place in the ledger.
#[derive(Debug, Deserialize)]
pub struct StoredEvent {
    /// Its place in the stream.
    pub sequence: u64,
    /// When it was stored, by the server's clock.
    pub stored_at: String,
    /// The stored bytes.
    pub event: Box<RawValue>,
}

/// The members of an event that people look at.
#[derive(Debug, Deserialize)]
pub struct EventView {
    /// What happened, as `execution.started`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The attempt, 0 where it belongs to none.
    pub attempt: u32,
    /// The user or the service that caused the event.
    pub actor: String,
    /// The hash of the event before it.
    pub previous: Option<String>,
    /// The members that belong to the type.
    pub data: Value,
}

/// Messages of the ledger that are not events.
#[derive(Debug, Deserialize)]
pub struct QuarantineList {
    /// The last one first.
    pub items: Vec<QuarantineEntry>,
    /// The cursor of the next page; none on the last.
    pub next: Option<String>,
}

/// A message of the ledger that is not an event.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct QuarantineEntry {
    pub sequence: u64,
    pub subject: String,
    /// How many bytes it has.
    pub length: u64,
    pub sha256: String,
    pub reason: String,
    pub stored_at: String,
}

/// The languages that the server can run.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LanguageList {
    pub languages: Vec<LanguageEntry>,
}

/// A language that the server can run.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LanguageEntry {
    pub slug: String,
    /// What people call it.
    pub name: String,
    pub version: String,
    /// Other slugs that mean the same.
    pub aliases: Vec<String>,
    /// What its files' names end in, without the dot.
    pub extensions: Vec<String>,
}

/// What was written to one stream.
#[derive(Debug, PartialEq, Eq)]
pub struct OutputView {
    /// What people call the stream.
    pub title: &'static str,
    /// The bytes that were kept.
    pub bytes: Vec<u8>,
    /// How many were written.
    pub bytes_total: u64,
    /// Whether some are missing.
    pub truncated: bool,
    /// The hash of the bytes that were kept, if they are kept no longer.
    pub expired: Option<String>,
}

impl SubmissionView {
    /// Reads an answer.
    pub fn read(answer: &Value) -> Result<Self, ClientError> {
        let mut submission = Self::deserialize(answer)?;
        let names = [("compile_output", "compiler"), ("stdout", "stdout"), ("stderr", "stderr")];
        submission.outputs = names
            .into_iter()
            .filter_map(|(name, title)| OutputView::read(answer, name, title))
            .collect();
        Ok(submission)
    }

    /// Tells whether its state is final.
    pub fn has_ended(&self) -> bool {
        has_ended(&self.state)
    }
}

/// Tells whether this state of a submission is final.
pub fn has_ended(state: &str) -> bool {
    ["completed", "failed", "cancelled"].contains(&state)
}

impl StoredEvent {
    /// Reads the stored bytes.
    pub fn read(&self) -> Result<EventView, ClientError> {
        Ok(serde_json::from_str(self.event.get())?)
    }
}

impl LanguageEntry {
    /// Tells whether files of this language end in `.<extension>`.
    pub fn has_extension(&self, extension: &str) -> bool {
        // Upper and lower case differ: `.c` is C, and `.C` is C++.
        self.extensions.iter().any(|known| known == extension)
    }
}

impl OutputView {
    /// Reads the members `<name>`, `<name>_encoding`, `<name>_bytes`, `<name>_truncated` and
    /// `<name>_expired`; none if the program wrote nothing.
    fn read(answer: &Value, name: &str, title: &'static str) -> Option<Self> {
        let member = |suffix: &str| answer.get(format!("{name}{suffix}"));
        let expired = member("_expired").and_then(|it| it["sha256"].as_str()).map(str::to_owned);
        let text = member("").and_then(Value::as_str);
        let text = text.or_else(|| expired.as_ref().map(|_| ""))?;
        let base64 = member("_encoding").and_then(Value::as_str) == Some("base64");
        // Text that claims to be base64 and is not is shown as it came: better than nothing.
        let decoded = base64.then(|| STANDARD.decode(text).ok()).flatten();
        let bytes = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
        let bytes_total = member("_bytes").and_then(Value::as_u64).unwrap_or(bytes.len() as u64);
        let truncated = member("_truncated").and_then(Value::as_bool).unwrap_or(false);
        // A truncated output may keep no byte and still be worth showing, so the total decides.
        (bytes_total > 0).then_some(Self { title, bytes, bytes_total, truncated, expired })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An answer as query-api gives it.
    fn answer() -> Value {
        json!({
            "id": "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b", "state": "completed", "verdict": "finished",
            "language": { "slug": "python", "version": "3.11" }, "lane": "run", "attempt": 1,
            "accepted_at": "2027-01-15T08:00:00.000000Z", "exit_code": 0, "signal": null, "limit": null,
            "stdout": "hi\n", "stdout_bytes": 3, "stdout_truncated": false,
            "stderr": "", "stderr_bytes": 0, "stderr_truncated": false,
            "compile_output": null,
            "usage": { "cpu_ms": 9.5, "wall_ms": 12.25, "memory_kib": 9216 },
            "cases": [], "score": null, "failure": null, "image_digest": "sha256:x", "isolation": "single-use",
            "sequence": 3
        })
    }

    #[test]
    fn an_answer_is_read_with_the_outputs_that_there_are() {
        let submission = SubmissionView::read(&answer()).unwrap();
        assert!(submission.has_ended());
        let stdout = OutputView {
            title: "stdout",
            bytes: b"hi\n".to_vec(),
            bytes_total: 3,
            truncated: false,
            expired: None,
        };
        assert_eq!(submission.outputs, [stdout]);
    }

    #[test]
    fn an_output_that_is_not_text_comes_as_base64() {
        let mut answer = answer();
        answer["stderr"] = json!("/w==");
        answer["stderr_encoding"] = json!("base64");
        answer["stderr_bytes"] = json!(7);
        answer["stderr_truncated"] = json!(true);
        let submission = SubmissionView::read(&answer).unwrap();
        let stderr = submission.outputs.last().unwrap();
        assert_eq!(
            (stderr.bytes.as_slice(), stderr.bytes_total, stderr.truncated),
            (&[0xff][..], 7, true)
        );
    }

    #[test]
    fn an_output_that_has_expired_is_told_by_its_hash() {
        let mut answer = answer();
        answer["stdout"] = json!(null);
        answer["stdout_bytes"] = json!(70_000);
        answer["stdout_expired"] = json!({ "sha256": "00ff", "bytes": 70_000 });
        let submission = SubmissionView::read(&answer).unwrap();
        let stdout = submission.outputs.last().unwrap();
        assert_eq!((stdout.bytes_total, stdout.expired.as_deref()), (70_000, Some("00ff")));
        assert!(stdout.bytes.is_empty());
    }

    #[test]
    fn an_answer_without_what_is_shown_is_not_understood() {
        let mut answer = answer();
        answer.as_object_mut().unwrap().remove("state");
        assert!(matches!(SubmissionView::read(&answer), Err(ClientError::Answer(_))));
    }
}
