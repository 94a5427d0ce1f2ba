//! What the server answers, as far as this program shows it. Members that it does not know are left alone, so that an older
//! client reads a newer server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::Failure;

/// The states after which nothing follows.
const ENDED: [&str; 3] = ["completed", "failed", "cancelled"];

/// Where a submission stands: the answer to a submission and to a cancellation.
#[derive(Debug, Deserialize)]
pub(crate) struct Standing {
    /// Its id.
    pub(crate) id: String,
    /// The sequence that a reader may insist on.
    pub(crate) sequence: u64,
    /// Its state.
    pub(crate) state: String,
}

/// A submission.
#[derive(Debug, Deserialize)]
pub(crate) struct Submission {
    /// Its id.
    pub(crate) id: String,
    /// Its state.
    pub(crate) state: String,
    /// The verdict, once there is one.
    pub(crate) verdict: Option<String>,
    /// The language and its version.
    pub(crate) language: Language,
    /// The number of the attempt, 0 before the first.
    pub(crate) attempt: u32,
    /// How the program ended.
    pub(crate) exit_code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// The limit that stopped it.
    pub(crate) limit: Option<String>,
    /// What it used.
    pub(crate) usage: Option<Usage>,
    /// The results of its cases so far.
    pub(crate) cases: Vec<Case>,
    /// All cases in short.
    pub(crate) score: Option<Score>,
    /// The platform's fault.
    pub(crate) failure: Option<PlatformFailure>,
    /// The sequence of its last event.
    pub(crate) sequence: u64,
    /// What was written, by the name of the output.
    #[serde(skip)]
    pub(crate) outputs: Vec<Output>,
}

/// A language at one version.
#[derive(Debug, Deserialize)]
pub(crate) struct Language {
    /// The short name.
    pub(crate) slug: String,
    /// The version.
    pub(crate) version: String,
}

/// What a run used.
#[derive(Debug, Deserialize)]
pub(crate) struct Usage {
    /// Processor time in milliseconds.
    pub(crate) cpu_ms: f64,
    /// Time from start to end in milliseconds.
    pub(crate) wall_ms: f64,
    /// The most memory in use.
    pub(crate) memory_kib: u64,
}

/// The result of one case.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    /// Its number, from 0.
    pub(crate) index: u32,
    /// What its author calls it.
    pub(crate) name: Option<String>,
    /// The judgement.
    pub(crate) verdict: String,
    /// What it used.
    pub(crate) usage: Usage,
    /// The points it earned.
    pub(crate) points: u64,
}

/// All cases in short.
#[derive(Debug, Deserialize)]
pub(crate) struct Score {
    /// The points earned.
    pub(crate) points: u64,
    /// The points to be had.
    pub(crate) points_max: u64,
    /// How many cases are accepted.
    pub(crate) passed: u32,
    /// How many there are.
    pub(crate) total: u32,
}

/// The platform's fault.
#[derive(Debug, Deserialize)]
pub(crate) struct PlatformFailure {
    /// What kind.
    pub(crate) class: String,
    /// What happened.
    pub(crate) reason: String,
}

/// One event as it is stored.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredEvent {
    /// Its place in the stream.
    pub(crate) sequence: u64,
    /// When it was stored, by the server's clock.
    pub(crate) stored_at: String,
    /// The stored bytes.
    pub(crate) event: Box<RawValue>,
}

/// The members of an event that people look at.
#[derive(Debug, Deserialize)]
pub(crate) struct CloudEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The attempt, 0 where it belongs to none.
    pub(crate) attempt: u32,
    /// On whose behalf.
    pub(crate) actor: String,
    /// The hash of the event before it.
    pub(crate) previous: Option<String>,
    /// What it says.
    pub(crate) data: Value,
}

/// The languages that the server can run.
#[derive(Debug, Deserialize)]
pub(crate) struct Languages {
    /// All of them.
    pub(crate) languages: Vec<KnownLanguage>,
}

/// A language that the server can run.
#[derive(Debug, Deserialize)]
pub(crate) struct KnownLanguage {
    /// The short name.
    pub(crate) slug: String,
    /// What people call it.
    pub(crate) name: String,
    /// The version.
    pub(crate) version: String,
    /// Other short names.
    pub(crate) aliases: Vec<String>,
    /// What its files' names end in.
    pub(crate) extensions: Vec<String>,
}

/// What was written to one stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// What people call the stream.
    pub(crate) title: &'static str,
    /// The bytes that were kept.
    pub(crate) bytes: Vec<u8>,
    /// How many were written.
    pub(crate) bytes_total: u64,
    /// Whether some are missing.
    pub(crate) truncated: bool,
}

impl Standing {
    /// Reads an answer.
    pub(crate) fn read(answer: Value) -> Result<Self, Failure> {
        serde_json::from_value(answer).map_err(Failure::Answer)
    }
}

impl Submission {
    /// Reads an answer.
    pub(crate) fn read(answer: &Value) -> Result<Self, Failure> {
        let mut submission = Self::deserialize(answer).map_err(Failure::Answer)?;
        let names = [("compile_output", "compiler"), ("stdout", "stdout"), ("stderr", "stderr")];
        submission.outputs = names
            .into_iter()
            .filter_map(|(name, title)| Output::read(answer, name, title))
            .collect();
        Ok(submission)
    }

    /// Tells whether nothing follows.
    pub(crate) fn has_ended(&self) -> bool {
        ENDED.contains(&self.state.as_str())
    }
}

impl StoredEvent {
    /// Reads the stored bytes.
    pub(crate) fn read(&self) -> Result<CloudEvent, Failure> {
        serde_json::from_str(self.event.get()).map_err(Failure::Answer)
    }
}

impl Languages {
    /// Reads an answer.
    pub(crate) fn read(answer: &Value) -> Result<Self, Failure> {
        Self::deserialize(answer).map_err(Failure::Answer)
    }
}

impl KnownLanguage {
    /// Tells whether files of this language end in `.<extension>`. Case counts: `.C` is C++.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        self.extensions.iter().any(|known| known == extension)
    }
}

impl Output {
    /// Reads the members `<name>`, `<name>_encoding`, `<name>_bytes` and `<name>_truncated`. Where nothing was written there is
    /// nothing to show.
    fn read(answer: &Value, name: &str, title: &'static str) -> Option<Self> {
        let member = |suffix: &str| answer.get(format!("{name}{suffix}"));
        let text = member("")?.as_str()?;
        let base64 = member("_encoding").and_then(Value::as_str) == Some("base64");
        let decoded = base64.then(|| STANDARD.decode(text).ok()).flatten();
        let bytes = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
        let bytes_total = member("_bytes").and_then(Value::as_u64).unwrap_or(bytes.len() as u64);
        let truncated = member("_truncated").and_then(Value::as_bool).unwrap_or(false);
        (bytes_total > 0).then_some(Self { title, bytes, bytes_total, truncated })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// An answer as query-api gives it.
    pub(crate) fn answer() -> Value {
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
        let submission = Submission::read(&answer()).unwrap();
        assert!(submission.has_ended());
        let stdout =
            Output { title: "stdout", bytes: b"hi\n".to_vec(), bytes_total: 3, truncated: false };
        assert_eq!(submission.outputs, [stdout]);
    }

    #[test]
    fn an_output_that_is_no_text_comes_as_base64() {
        let mut answer = answer();
        answer["stderr"] = json!("/w==");
        answer["stderr_encoding"] = json!("base64");
        answer["stderr_bytes"] = json!(7);
        answer["stderr_truncated"] = json!(true);
        let submission = Submission::read(&answer).unwrap();
        let stderr = submission.outputs.last().unwrap();
        assert_eq!(
            (stderr.bytes.as_slice(), stderr.bytes_total, stderr.truncated),
            (&[0xff][..], 7, true)
        );
    }

    #[test]
    fn an_answer_without_what_is_shown_is_not_understood() {
        let mut answer = answer();
        answer.as_object_mut().unwrap().remove("state");
        assert!(matches!(Submission::read(&answer), Err(Failure::Answer(_))));
    }
}
