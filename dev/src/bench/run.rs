//! One submission, timed from outside.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use client::{Client, NewSubmission, Submitted};
use serde_json::Value;

use super::PROGRAM;

/// How often the view is asked whether it shows the end, which is how exactly its delay is known.
const VIEW_POLL: Duration = Duration::from_millis(1);

/// How long a submission may take to end, behind those of all other clients, and its end to show in
/// the view.
const PATIENCE: Duration = Duration::from_mins(3);

/// A submission that ran to its end.
pub(super) struct Run {
    pub(super) id: String,
    /// From sending the request to having the 202.
    pub(super) accept: Duration,
    /// From sending the request to having the verdict.
    pub(super) total: Duration,
    /// When the verdict was in hand, in microseconds since 1970.
    pub(super) ended_at_us: i64,
}

/// Submits the program and waits for its verdict.
pub(super) async fn submit(client: &Client) -> Result<Run> {
    let program = NewSubmission::of_file("python", "main.py", PROGRAM);
    let begun = Instant::now();
    let Submitted { id, sequence, .. } = client.submit(&program, None).await?.read()?;
    let accept = begun.elapsed();
    let ended = tokio::time::timeout(PATIENCE, client.ended(&id, sequence, |_| ())).await;
    let ended = ended.with_context(|| format!("submission {id} has not ended in time"))??;
    // Before the answer is parsed, which is the client's work and not the server's.
    let (total, ended_at_us) = (begun.elapsed(), now_us());
    let end: Value = ended.read()?;
    ensure!(end["verdict"] == "finished", "submission {id} did not finish: {end}");
    Ok(Run { id, accept, total, ended_at_us })
}

/// Waits until the view shows the end of the newest submission, and returns when it did, in
/// microseconds since 1970.
pub(super) async fn projected(client: &Client, id: &str) -> Result<i64> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        // The list, since only the view answers it: a single submission may be folded from the
        // ledger while the view is behind, and would hide the delay.
        let page: Value = client.newest(1).await?.read()?;
        let newest = &page["items"][0];
        if newest["id"] == id && newest["state"] == "completed" {
            return Ok(now_us());
        }
        tokio::time::sleep(VIEW_POLL).await;
    }
    bail!("the view does not show the end of submission {id}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is this machine's clock that is compared with the stream's"
)]
fn now_us() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
