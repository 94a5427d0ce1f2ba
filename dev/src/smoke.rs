//! The proof that a topology works: one real program through the edge, from acceptance to verdict.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::blocking::{Client, Response};
use serde::Deserialize;
use serde_json::json;

use crate::steps::Outcome;

const PROGRAM: &str = "import platform\nprint('hello from Python', platform.python_version())\n";

/// A request is held for up to 30 s.
const REQUEST_PATIENCE: Duration = Duration::from_secs(40);

/// How often a held request may come back before the end.
const ROUNDS: usize = 6;

/// What the program came to.
#[derive(Debug)]
pub(crate) struct Proof {
    verdict: String,
    stdout: String,
}

impl Outcome for Proof {
    fn shown(&self) -> String {
        format!("{}, it wrote {:?}", self.verdict, self.stdout)
    }
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
    sequence: u64,
}

#[derive(Deserialize)]
struct Submission {
    state: String,
    verdict: Option<String>,
    stdout: Option<String>,
}

/// Submits the program and waits for its verdict.
pub(crate) fn submit(url: &str, token: &str) -> Result<Proof> {
    let client = Client::builder().no_proxy().timeout(REQUEST_PATIENCE).build()?;
    let request = client.post(format!("{url}/v1/submissions")).bearer_auth(token);
    let answer = request.json(&json!({ "language": "python", "source": PROGRAM })).send();
    let accepted: Accepted = read(answer.context("submit")?, 202)?;
    let (id, sequence) = (accepted.id, accepted.sequence);
    let address = format!("{url}/v1/submissions/{id}?wait=30&min_seq={sequence}");
    for _ in 0..ROUNDS {
        let answer =
            client.get(&address).bearer_auth(token).send().context("ask for the result")?;
        let submission: Submission = read(answer, 200)?;
        if matches!(submission.state.as_str(), "completed" | "failed" | "cancelled") {
            return judge(submission);
        }
    }
    bail!("submission {id} has not ended in time")
}

fn judge(submission: Submission) -> Result<Proof> {
    let verdict = submission.verdict.unwrap_or_default();
    let stdout = submission.stdout.unwrap_or_default();
    if submission.state != "completed" || !stdout.starts_with("hello from Python") {
        bail!("the program was {} with verdict {verdict:?} and wrote {stdout:?}", submission.state);
    }
    Ok(Proof { verdict, stdout: stdout.trim_end().to_owned() })
}

fn read<T: for<'a> Deserialize<'a>>(answer: Response, expected: u16) -> Result<T> {
    let status = answer.status().as_u16();
    let body = answer.text().context("read the answer")?;
    if status != expected {
        bail!("the answer is {status}, not {expected}: {}", body.trim());
    }
    serde_json::from_str(&body).with_context(|| format!("read the answer {body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(state: &str, verdict: &str, stdout: &str) -> Submission {
        let text = |text: &str| Some(text.to_owned());
        Submission { state: state.to_owned(), verdict: text(verdict), stdout: text(stdout) }
    }

    #[test]
    fn only_a_completed_run_with_its_output_is_proof() {
        judge(submission("completed", "finished", "hello from Python 3.11\n")).unwrap();
        judge(submission("failed", "", "")).unwrap_err();
        judge(submission("completed", "runtime_error", "Traceback")).unwrap_err();
    }
}
