//! What the HTTP API promises to a well-behaved client: identity, idempotency, caching, waiting,
//! cancelling, lists, and deploys that roll.

mod cancelling;
mod identity;
mod lists;
mod operating;
mod reading;
mod rolling;

use anyhow::Result;
use blackbox::audit::Audit;
use blackbox::client::{Reply, Submitted, TestClient};
use blackbox::programs::python;
use blackbox::world::{World, WorldBuilder};
use serde_json::{Value, json};

const SUBMISSIONS: &str = "/v1/submissions";

/// A world where submissions stay in the queue.
fn queueing() -> WorldBuilder {
    WorldBuilder::default().executors(0).edge()
}

/// A world that runs submissions.
fn running() -> WorldBuilder {
    WorldBuilder::default().edge()
}

fn of(submitted: &Submitted) -> String {
    format!("{SUBMISSIONS}/{}", submitted.id)
}

async fn cancel(user: &TestClient, submitted: &Submitted) -> Result<Reply> {
    user.post(&format!("{}/cancel", of(submitted)), &json!({ "reason": "enough" })).await
}

/// A program that has begun once this returns.
async fn begun(user: &TestClient, source: &str) -> Result<Submitted> {
    has_begun(user, &python(source)).await
}

/// Submits, and returns once the program has begun.
async fn has_begun(user: &TestClient, body: &Value) -> Result<Submitted> {
    let submitted = user.submit(body).await?;
    for _ in 0..10 {
        let path = format!("{}?wait=5&min_seq={}", of(&submitted), submitted.sequence);
        if user.get(&path).await?.ok()?["state"] == "running" {
            return Ok(submitted);
        }
    }
    anyhow::bail!("it has not begun")
}

/// Waits until the results view has the whole ledger.
async fn caught_up(world: &World) -> Result<()> {
    Audit::read(world).await?.check_views(world).await
}
