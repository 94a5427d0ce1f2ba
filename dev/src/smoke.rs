//! The proof that a topology works: one real program through the edge, from acceptance to verdict.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use client::{Client, NewSubmission, Submitted};
use serde_json::Value;

use crate::steps::StepValue;
use crate::{interrupt, runtime};

const PROGRAM: &str = "import platform\nprint('hello from Python', platform.python_version())\n";

/// How long the program may take: a busy machine is slow, and a service that is not well says so
/// long before.
const PATIENCE: Duration = Duration::from_mins(3);

/// How often the services are asked while the program runs.
const HEALTH_POLL: Duration = Duration::from_millis(500);

/// How long services may say that they are not well: the executor tries again when a cell cannot be
/// made, and one answer may take seconds where the machine is full.
const GRACE: Duration = Duration::from_secs(20);

/// What the program came to.
#[derive(Debug)]
pub(crate) struct Proof {
    verdict: String,
    stdout: String,
}

impl StepValue for Proof {
    fn shown(&self) -> String {
        format!("{}, it wrote {:?}", self.verdict, self.stdout)
    }
}

/// Submits the program and waits for its verdict, or until services have said for a while why there
/// will be none. `trouble` returns what they say now.
pub(crate) fn prove(
    url: String,
    token: String,
    trouble: impl Fn() -> Option<String>,
) -> Result<Proof> {
    let (send, ended) = mpsc::channel();
    // In a thread of its own, which is left behind when a service has said why there is no verdict.
    thread::spawn(move || drop(send.send(submit(&url, &token))));
    judge(&wait(&ended, trouble, GRACE)?)
}

fn submit(url: &str, token: &str) -> Result<Value> {
    let client = Client::new(url, Some(&token.into()))?;
    runtime::block_on(async {
        let program = NewSubmission::of_file("python", "main.py", PROGRAM);
        let Submitted { id, sequence, .. } = client.submit(&program, None).await?.read()?;
        let ended = tokio::time::timeout(PATIENCE, client.ended(&id, sequence, |_| ())).await;
        let ended = ended.with_context(|| format!("submission {id} has not ended in time"))?;
        Ok(ended?.read()?)
    })
}

fn wait(
    ended: &Receiver<Result<Value>>,
    trouble: impl Fn() -> Option<String>,
    grace: Duration,
) -> Result<Value> {
    let mut since: Option<Instant> = None;
    loop {
        // The shorter of both, for tests, whose grace is shorter than a poll.
        match ended.recv_timeout(HEALTH_POLL.min(grace)) {
            Ok(submission) => return submission,
            Err(RecvTimeoutError::Timeout) => interrupt::check()?,
            Err(RecvTimeoutError::Disconnected) => bail!("the client has ended early"),
        }
        let Some(trouble) = trouble() else {
            // A hiccup is over, and the next one has a grace of its own.
            since = None;
            continue;
        };
        if since.get_or_insert_with(Instant::now).elapsed() >= grace {
            bail!("there is no verdict yet, and there may never be one: {trouble}");
        }
    }
}

fn judge(submission: &Value) -> Result<Proof> {
    let text = |name: &str| submission[name].as_str().unwrap_or_default().to_owned();
    let (state, verdict, stdout) = (text("state"), text("verdict"), text("stdout"));
    if state != "completed" || !stdout.starts_with("hello from Python") {
        bail!("the program was {state} with verdict {verdict:?} and wrote {stdout:?}");
    }
    Ok(Proof { verdict, stdout: stdout.trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn only_a_completed_run_with_its_output_is_proof() {
        let submission = |state: &str, verdict: &str, stdout: &str| json!({ "state": state, "verdict": verdict, "stdout": stdout });

        judge(&submission("completed", "finished", "hello from Python 3.11\n")).unwrap();
        judge(&submission("failed", "", "")).unwrap_err();
        judge(&submission("completed", "runtime_error", "Traceback")).unwrap_err();
    }

    #[test]
    fn a_service_that_stays_unwell_ends_the_wait_with_what_it_says() {
        let (_never, ended) = mpsc::channel();

        let error = wait(&ended, || Some("executor: cells cannot be made".to_owned()), SHORT);

        assert!(error.unwrap_err().to_string().ends_with("executor: cells cannot be made"));
    }

    #[test]
    fn a_service_that_is_well_again_has_its_grace_anew() {
        let (send, ended) = mpsc::channel();
        let asked = Cell::new(0);
        // Every other time well, for longer than the grace in all.
        let trouble = || {
            asked.set(asked.get() + 1);
            if asked.get() == 8 {
                send.send(Ok(json!("ended"))).unwrap();
            }
            (asked.get() % 2 == 0).then(|| "a hiccup".to_owned())
        };

        assert_eq!(wait(&ended, trouble, SHORT).unwrap(), "ended");
    }
}
