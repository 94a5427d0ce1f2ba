//! A load of submissions by patient clients. Each repeats a request without an answer under the
//! same key, watches its submission until it ends, and notices when a state goes back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use client::has_ended;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::client::{Reply, Submitted, TestClient};
use crate::programs::python;

/// How many clients there are at once.
const CLIENTS: usize = 8;
/// How long a client goes on, through faults and restarts, before it gives up.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long a client waits after a 503, or after no answer.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the server is asked to hold a poll, in seconds.
const WAIT_SECONDS: u32 = 5;

/// A number of submissions, and how many of them have ended.
#[derive(Debug)]
pub struct Load {
    count: usize,
    ended: AtomicUsize,
    changed: Notify,
}

/// What one client has seen of its submission.
#[derive(Debug)]
pub struct Seen {
    /// The answer to its submission.
    pub submitted: Submitted,
    /// The last answer to its polls.
    pub view: Value,
}

impl Load {
    /// Prepares a load of `count` submissions.
    pub fn new(count: usize) -> Self {
        Self { count, ended: AtomicUsize::new(0), changed: Notify::new() }
    }

    /// Waits until at least this share of the submissions, in percent, has ended.
    pub async fn reaches(&self, percent: usize) {
        loop {
            let changed = self.changed.notified();
            if self.ended.load(Ordering::SeqCst) * 100 >= self.count * percent {
                return;
            }
            changed.await;
        }
    }

    /// Runs the whole load and returns what each client has seen.
    pub async fn run(&self, user: &TestClient) -> Result<Vec<Seen>> {
        let clients = stream::iter(0..self.count).map(|number| self.one(user, number));
        clients.buffer_unordered(CLIENTS).try_collect().await
    }

    async fn one(&self, user: &TestClient, number: usize) -> Result<Seen> {
        let deadline = Instant::now() + PATIENCE;
        let seen = async {
            let submitted = submit(user, number, deadline).await?;
            let view = self.watch(user, &submitted, deadline).await?;
            check_outcome(number, &view)?;
            Ok(Seen { submitted, view })
        };
        let seen: Result<Seen> = seen.await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        seen.with_context(|| format!("submission number {number}"))
    }

    /// Polls until the end. No answer may show an older state than the answer before (I8).
    async fn watch(
        &self,
        user: &TestClient,
        submitted: &Submitted,
        deadline: Instant,
    ) -> Result<Value> {
        let Submitted { id, sequence, .. } = submitted;
        // The first sequence and no later one, so that it is the server that keeps from a step
        // back, over its restarts, too.
        let path = format!("/v1/submissions/{id}?wait={WAIT_SECONDS}&min_seq={sequence}");
        let mut rank = 0;
        loop {
            match user.get(&path).await {
                Ok(answer) if answer.status.is_success() => {
                    let view = answer.ok()?;
                    let now = rank_of(&view)?;
                    ensure!(now >= rank, "the state went back from rank {rank}: {view}");
                    rank = now;
                    if view["state"].as_str().is_some_and(has_ended) {
                        return Ok(view);
                    }
                }
                other => may_be_repeated(other, deadline).await?,
            }
            ensure!(Instant::now() < deadline, "{id} has not ended");
        }
    }
}

fn rank_of(view: &Value) -> Result<u8> {
    match view["state"].as_str() {
        Some("accepted") => Ok(0),
        Some("running") => Ok(1),
        Some("cancelling") => Ok(2),
        Some("completed" | "failed" | "cancelled") => Ok(3),
        Some(_) | None => bail!("no state: {view}"),
    }
}

/// Repeats the same request under the same key until it is accepted.
async fn submit(user: &TestClient, number: usize, deadline: Instant) -> Result<Submitted> {
    let (body, key) = (program(number), format!("load {number}"));
    loop {
        match user.submit_keyed(&body, &key).await {
            Ok(answer) if answer.status.is_success() => return answer.submitted(),
            other => may_be_repeated(other, deadline).await?,
        }
    }
}

/// Waits after a 503 or no answer. Any other status fails the test.
async fn may_be_repeated(answer: Result<Reply>, deadline: Instant) -> Result<()> {
    match answer {
        Ok(answer) if answer.status == 503 => {
            ensure!(
                answer.header("retry-after").is_some(),
                "a 503 that does not say when: {answer:?}"
            );
        }
        Ok(answer) => bail!("status {}: {}", answer.status, answer.json),
        Err(error) if Instant::now() >= deadline => return Err(error),
        Err(_no_answer) => {}
    }
    ensure!(Instant::now() < deadline, "the API answered 503 for too long");
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// How many kinds of programs there are.
const KINDS: usize = 5;
/// More than fits into an event.
const LARGE: usize = 100_000;

/// A mix of programs: short ones, a slow one, judged ones, and ones whose source or output goes to
/// the object store.
fn program(number: usize) -> Value {
    match number % KINDS {
        0 => python(&format!("print({number})")),
        1 => python(&format!("import time\ntime.sleep(0.4)\nprint({number})")),
        2 => {
            let mut body = python("print(int(input()) + 1)");
            body["cases"] = (0..3)
                .map(|n| json!({ "stdin": n.to_string(), "expected": (n + 1).to_string() }))
                .collect();
            // Makes each request differ from all others.
            body["args"] = json!([number.to_string()]);
            body
        }
        3 => python(&format!("print('x' * {LARGE})\n#{number}")),
        _ => python(&format!("print({number})\n#{}", "y".repeat(LARGE))),
    }
}

fn check_outcome(number: usize, view: &Value) -> Result<()> {
    let expected = if number % KINDS == 2 { "accepted" } else { "finished" };
    ensure!(
        view["state"] == "completed" && view["verdict"] == expected,
        "another end than {expected}: {view}"
    );
    let stdout = view["stdout"].as_str().unwrap_or_default();
    let right = match number % KINDS {
        2 => true,
        3 => stdout.len() == LARGE + 1 && stdout.trim_end().chars().all(|char| char == 'x'),
        _ => stdout == format!("{number}\n"),
    };
    ensure!(right, "another output than was printed, {} bytes", stdout.len());
    Ok(())
}
