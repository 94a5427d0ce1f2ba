//! What a program finds inside its cell: each test submits a program that looks or tries, and reads
//! its report.

mod files;
mod leftovers;
mod network;
mod privilege;
mod processes;

use anyhow::{Context, Result};
use blackbox::client::TestClient;
use blackbox::programs::{expect, python, text};
use blackbox::world::{World, WorldBuilder};
use serde_json::{Value, json};

async fn play(scenario: impl AsyncFnOnce(&TestClient, &mut World) -> Result<()>) -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("mallory")?;
            scenario(&user, world).await
        })
        .await
}

/// Runs a program that prints one JSON value, and returns it.
async fn report(user: &TestClient, source: &str) -> Result<Value> {
    let view = user.run(&python(source)).await?;
    reported(&view)
}

fn reported(view: &Value) -> Result<Value> {
    expect(view, &json!({ "verdict": "finished" }))?;
    serde_json::from_str(text(view, "stdout")?).with_context(|| format!("no report: {view}"))
}
