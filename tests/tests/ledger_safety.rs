//! What must not break or silence the ledger: bytes that no writer of ours wrote, and a store that
//! was set back under running services. In each case an operator does what the page of the alarm
//! says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackbox::audit::Audit;
use blackbox::client::{Submitted, TestClient};
use blackbox::programs::{expect, python};
use blackbox::wait::wait_until;
use blackbox::world::{World, WorldBuilder};
use events::{Digest, Family};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(2);

/// Publishes what no service of ours writes, and returns the message's sequence.
async fn publish(world: &World, subject: &str, payload: impl Into<Vec<u8>>) -> Result<u64> {
    let client = world.nats_client("command-api").await?;
    let answer = client.request(subject.to_owned(), payload.into().into()).await?;
    let answer: Value = serde_json::from_slice(&answer.payload)?;
    answer["seq"].as_u64().with_context(|| format!("{answer}"))
}

/// Submits so many programs, one after the other, and waits for their ends.
async fn run(user: &TestClient, count: usize) -> Result<Vec<Submitted>> {
    let mut submitted = Vec::new();
    for number in 0..count {
        submitted.push(user.submit(&python(&format!("print({number})"))).await?);
    }
    for submitted in &submitted {
        let view = user.ended(submitted).await?;
        expect(&view, &json!({ "verdict": "finished" }))?;
    }
    Ok(submitted)
}

/// Waits until a list has all of these.
async fn listed(user: &TestClient, submitted: &[Submitted]) -> Result<()> {
    wait_until("the list has every submission", PATIENCE, async || {
        let list = user.get("/v1/submissions?limit=100").await?.ok()?;
        let items = list["items"].as_array().context("no items")?;
        for submitted in submitted {
            let is_listed = items.iter().any(|item| item["id"] == submitted.id.as_str());
            ensure!(is_listed, "{} is missing", submitted.id);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn foreign_bytes_stop_nothing_and_are_told() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let lives = user.submit(&python("import time\ntime.sleep(3)\nprint('done')")).await?;
            let audit = Audit::read(world).await?;
            let accepted: events::Subject =
                audit.messages.first().context("no event")?.subject.parse()?;
            let outcome = accepted.in_family(Family::Outcome).to_string();
            let queue = accepted.to_string();
            let nobodys = queue.replace(&lives.id, "oops");
            let hi = publish(world, &nobodys, "hi").await?;
            publish(world, &queue.replace(&lives.id, "also-oops"), vec![0, 0xff]).await?;
            publish(world, &outcome, vec![0; 100_000]).await?;

            let view = user.ended(&lives).await?;
            expect(&view, &json!({ "verdict": "finished", "attempt": 1, "stdout": "done\n" }))?;
            let mut submitted = run(&user, 10).await?;
            submitted.push(lives);
            listed(&user, &submitted).await?;
            let audit = Audit::settled(world, &submitted).await?;
            ensure!(audit.foreign.len() == 3, "{:?}", audit.foreign);

            let operator = world.client("root", "admin")?;
            let told = operator.get("/v1/admin/quarantine").await?.ok()?;
            let items = told["items"].as_array().context("no items")?;
            ensure!(items.len() == 3, "{told}");
            let last = items.last().context("no item")?;
            expect(
                last,
                &json!({ "sequence": hi, "subject": nobodys, "length": 2, "bytes": "aGk=",
                         "sha256": Digest::of(b"hi") }),
            )?;
            let (status, health) = world.asked("projector", "/health/projections").await?;
            ensure!(
                status == 200 && health.contains("foreign messages in the ledger: 3"),
                "{health}"
            );
            let (_, metrics) = world.asked("executor", "/metrics").await?;
            ensure!(metrics.contains("ledger_queue_foreign_total 2"), "{metrics}");
            let (_, metrics) = world.asked("projector", "/metrics").await?;
            for projection in ["results", "progress"] {
                let counted =
                    format!("ledger_projection_foreign_total{{projection=\"{projection}\"}} 3");
                ensure!(metrics.contains(&counted), "{metrics}");
            }
            world.projector(&["rebuild", "results"]).await?;
            Audit::settled(world, &submitted).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn a_store_that_was_set_back_is_an_alarm_and_after_a_rebuild_all_is_right() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let kept = run(&user, 5).await?;
            let copied = Audit::settled(world, &kept).await?.last_sequence;
            world.save_store().await?;
            world.all_ready().await?;
            let lost = run(&user, 15).await?;
            let all: Vec<Submitted> = kept.iter().cloned().chain(lost).collect();
            let behind = Audit::settled(world, &all).await?.last_sequence - copied;

            world.set_store_back().await?;
            wait_until("the projector says what has happened", PATIENCE, async || {
                let (status, health) = world.asked("projector", "/health/projections").await?;
                ensure!(status == 503 && health.contains("set back"), "{status}: {health}");
                let (_, metrics) = world.asked("projector", "/metrics").await?;
                let lag =
                    format!("ledger_projection_lag_events{{projection=\"results\"}} -{behind}\n");
                let differs = "ledger_history_differs_total{difference=\"set_back\"}";
                ensure!(metrics.contains(&lag) && metrics.contains(differs), "{metrics}");
                Ok(())
            })
            .await?;
            wait_until("submissions are taken again", PATIENCE, async || {
                let (status, health) = world.asked("command-api", "/health/ready").await?;
                ensure!(status == 200, "{health}");
                Ok(())
            })
            .await?;
            let after = run(&user, 10).await?;

            world.projector(&["rebuild", "results"]).await?;
            world.projector(&["rebuild", "progress"]).await?;
            wait_until("the projector goes on by itself", PATIENCE, async || {
                let (status, health) = world.asked("projector", "/health/projections").await?;
                ensure!(status == 200, "{health}");
                Ok(())
            })
            .await?;
            let submitted: Vec<Submitted> = kept.into_iter().chain(after).collect();
            listed(&user, &submitted).await?;
            Audit::settled(world, &submitted).await.map(drop)
        })
        .await
}
