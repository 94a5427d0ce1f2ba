//! The proof that a topology works: one real program through the edge, from acceptance to verdict.

use anyhow::{Result, bail};

use crate::client::{Client, Submission};
use crate::steps::Outcome;

const PROGRAM: &str = "import platform\nprint('hello from Python', platform.python_version())\n";

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

/// Submits the program and waits for its verdict.
pub(crate) fn submit(url: &str, token: &str) -> Result<Proof> {
    judge(Client::new(url, token)?.submit(PROGRAM)?.end)
}

fn judge(submission: Submission) -> Result<Proof> {
    let verdict = submission.verdict.unwrap_or_default();
    let stdout = submission.stdout.unwrap_or_default();
    if submission.state != "completed" || !stdout.starts_with("hello from Python") {
        bail!("the program was {} with verdict {verdict:?} and wrote {stdout:?}", submission.state);
    }
    Ok(Proof { verdict, stdout: stdout.trim_end().to_owned() })
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
